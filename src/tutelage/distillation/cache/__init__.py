"""The target cache: teacher outputs stored on disk and read back in later epochs and runs."""
