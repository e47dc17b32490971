"""PostgreSQL's log: followed by a replication slot and the plugin pgoutput, found in its messages by numpy."""
