"""The demo: a sample shop moves to a second database and to Parquet, through the real server, and is verified."""
