"""The quickstart: on embedded data, a teacher, a small student alone and the same student distilled, over seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from tutelage.errors import TutelageError
from tutelage.study.statistics import summarize
from tutelage.study.table import terminal
from tutelage.training import Result, distill, train

BUDGET: dict[str, Any] = {
    "data": {"name": "digits", "fraction": 0.1},
    "batch_size": 32,
    "precision": "fp32",
    "optimizer": {"lr": 0.05},
    "schedule": {"name": "one_cycle"},
}
"""The same data, schedule and rule for the teacher, the student alone and every method.

A tenth of the digits, because on all of them the student alone is as good as its teacher.
"""

TEACHER, STUDENT = "resnet20", "resnet8"
METHODS = ("none", "kd", "fitnets")


def quickstart(out: Path, seeds: int = 3, epochs: int = 20) -> list[Result]:
    """Trains a teacher a seed, then the student by each method under it; prints the table; returns all results.

    Every training has the same number of epochs.
    """
    console = Console()
    if out.exists():
        raise TutelageError(f"{out} exists: remove it, or choose another folder (tutelage quickstart out=FOLDER)")
    results = []
    for seed in range(seeds):
        budget = {**BUDGET, "epochs": epochs, "seed": seed}
        console.rule(f"seed {seed}: teacher")
        teacher = out / f"teacher-{seed}"
        results.append(train(model=TEACHER, out=teacher, **budget))
        for method in METHODS:
            console.rule(f"seed {seed}: student, method {method}")
            run = out / f"{method}-{seed}"
            results.append(distill(teacher=str(teacher), student=STUDENT, method=method, out=run, **budget))
    console.rule(f"a tenth of digits, {epochs} epochs each, last epoch: mean ± standard deviation over seeds")
    console.print(terminal(summarize(results), console.width))
    console.print(f"runs in {out}; the deployable student of a run is its folder student/", highlight=False)
    return results
