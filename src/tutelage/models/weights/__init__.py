"""Read weights files without running code, and fit them to a network."""
