"""What the sections draw on: runs, groups, predictions."""
