"""Environments and Python code as models."""
