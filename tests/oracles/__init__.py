"""Naive float64 re-computations, written from each paper's equation: nested lists in, a Python float out."""
