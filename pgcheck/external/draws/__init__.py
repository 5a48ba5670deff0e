"""Answering every random draw of code that samples for itself, so that all ways in which they can come out are run."""
