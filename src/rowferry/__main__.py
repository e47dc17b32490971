"""`python -m rowferry`: the command line."""

from rowferry.cli import main

main()
