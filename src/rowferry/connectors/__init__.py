"""One folder an engine, with the same file names in each; the contracts are in `base`, the names in `registry`."""
