"""The binary log of MySQL and MariaDB, followed and decoded.

From below: `frames` cuts bytes into events and checks them, `kinds` names the events, `headers` reads the small ones,
`tablemap` and `layout` say how a table's rows lie in the log, `walk` finds the rows, `cells` and what it uses turn
them into Arrow, `gather` collects the changes of a batch, `story` tells transactions from events, `ddl` and `history`
keep a table as it was at each place of the log. `dump` is the connection, `changes` the source's side of the contract.
"""
