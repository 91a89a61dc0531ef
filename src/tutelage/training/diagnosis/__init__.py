"""Diagnose failed steps: values that are not finite, and memory that ran out."""
