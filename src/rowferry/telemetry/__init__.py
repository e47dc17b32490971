"""Names of metrics, fields of log entries, and the hub through which both are seen."""
