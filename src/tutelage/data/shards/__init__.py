"""Shards read in windows, ahead of the steps that need them."""
