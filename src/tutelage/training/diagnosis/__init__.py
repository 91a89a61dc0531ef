"""What went wrong in a step: values that are not finite, memory that ran out."""
