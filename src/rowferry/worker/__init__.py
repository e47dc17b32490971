"""A worker: takes an assignment from the bus, runs it, reports."""
