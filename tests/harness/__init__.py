"""What tests of every method share: a pool of two processes, tiny networks, checks."""
