"""The frozen words of the trade: tables, types, chunks, states. Nothing here does I/O."""
