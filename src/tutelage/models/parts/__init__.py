"""Modules that a method adds to the student and that stay in it: the network that is trained is the one deployed."""
