"""The model card and what it says."""
