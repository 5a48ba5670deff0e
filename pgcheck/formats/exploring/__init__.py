"""Environments without a table, explored by copies of them."""
