"""Users' code: found, called in a process of its own, and its results understood."""
