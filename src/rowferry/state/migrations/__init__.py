"""The state's structure, step by step; run when the state is opened."""
