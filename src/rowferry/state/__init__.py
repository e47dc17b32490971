"""What the server remembers: connections, configs, streams, logs and the account, in SQLite or PostgreSQL."""
