"""Speed: the step loop beside its floor and beside a plain loop."""
