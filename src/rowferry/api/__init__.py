"""The REST API: one file a resource; what it offers is decided in `rowferry.control`."""
