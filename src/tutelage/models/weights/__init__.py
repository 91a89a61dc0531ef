"""Weights files: read without running code, and fitted to a network."""
