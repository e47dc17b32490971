"""The way of a table: plan, structure, copy, finish."""
