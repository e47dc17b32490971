"""PostgreSQL's log: followed by a replication slot and the plugin pgoutput, found in its messages by numpy.

What is needed: `prerequisites` (what a server lacks), `slots` and `publications`, `identity` (what tells rows apart).
On the way: `source` (the contract), `feed` (the walsender's socket), `following` (what each message means), `messages`
(those that are no rows), `relations` and `renames` (tables, and what became of them), `unfinished` (transactions that
are told before their end), `gather` (rows until they make a batch), then `cells`, `rows` and `values` (from bytes to
Arrow), `tables` (what they lack) and `positions` beside them.
"""
