"""Blocks, drawings and the template of the page."""
