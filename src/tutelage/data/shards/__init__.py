"""Streaming of shards: prefetching, eviction, and data sets that are read this way."""
