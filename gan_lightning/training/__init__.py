"""The engine: the training loop, and everything that a run needs around it."""
