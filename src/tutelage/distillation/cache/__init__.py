"""The target cache: the teacher's targets, stored and read back."""
