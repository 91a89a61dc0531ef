"""The model card and its contents."""
