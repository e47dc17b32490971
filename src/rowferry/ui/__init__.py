"""The app's pages; what they do is decided in `rowferry.control`. Imported by the server only: NiceGUI is large."""
