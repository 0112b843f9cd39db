"""The engine: the one training loop, and all that a run needs around it."""
