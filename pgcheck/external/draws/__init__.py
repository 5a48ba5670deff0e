"""Answering every random draw of code that samples for itself, so that it is run for all ways they can come out."""
