"""What can be asked of the server; the API, the app and the command line all ask here."""
