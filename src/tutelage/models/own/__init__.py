"""This package's own networks, one family a file."""
