"""Build every recipe without its data, and take one step in each of its stages: ``make recipes``.

One line per recipe is printed. The exit code is 1 if a loss is not finite, a weight of a stage does not change, or
anything fails. Teachers and images are random, so this only checks that recipes run, not which accuracy they reach.
"""

from __future__ import annotations

import math
import sys
import time

import torch

from harness.recipes import Step, take_steps
from tutelage.recipes import list_recipes, load_recipe


def main(names: list[str]) -> int:
    """Return how many of the recipes ``names``, or of all recipes if there are no names, fail."""
    torch.set_num_threads(1)
    failed = 0
    for name in names or list_recipes():
        start = time.perf_counter()
        try:
            steps = take_steps(load_recipe(name))
            good, said = all(map(sound, steps)), ", ".join(map(describe, steps))
        except Exception as error:
            good, said = False, f"{type(error).__name__}: {error}"
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name:56} {time.perf_counter() - start:5.1f} s  {said}", flush=True)
    print(f"{failed} of {len(names or list_recipes())} recipes failed")
    return failed


def sound(step: Step) -> bool:
    """Return whether the loss is finite and every weight changed."""
    return math.isfinite(step.loss) and 0 < step.changed == step.trained


def describe(step: Step) -> str:
    return f"{step.stage}: loss {step.loss:.4g}, {step.changed} of {step.trained} weights moved"


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
