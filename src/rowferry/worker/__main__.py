"""`python -m rowferry.worker`: what the bus starts."""

from rowferry.worker.main import main

main()
