"""Rowferry moves tables between databases and files."""
