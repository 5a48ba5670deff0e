"""Explicit models of PRISM and Storm, .tra and .drn files."""
