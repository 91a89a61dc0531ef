"""Groups of runs that differ only in their seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.config import flatten
from tutelage.report.material.run import Run
from tutelage.study import Difference, Row, against_alone, summarize

APART = {"out", "overwrite", "seed", "student", "model", "teacher", "method", "cache"}
"""Settings that are compared separately, or do not affect results."""
HOW = {"device", "compile", "log_every", "log_gradients", "validate_every", "accumulate", "precision", "data.workers"}
"""Settings that change how a run is computed, but not its results."""


@dataclass(frozen=True, eq=False)
class Group:
    """The runs of one student with the same method and settings."""

    row: Row
    runs: tuple[Run, ...]

    @property
    def alone(self) -> bool:
        return self.row.method == "none"

    @property
    def method(self) -> str:
        """The method, or ``alone`` without one, with the setting and teacher that distinguish the group."""
        name = "alone" if self.alone else self.row.method
        return " ".join(part for part in (name, self.row.setting, self.row.teacher) if part)

    @property
    def label(self) -> str:
        return f"{self.row.student} {self.method}"

    @property
    def seeds(self) -> str:
        return "1 seed" if len(self.runs) == 1 else f"{len(self.runs)} seeds"

    @property
    def typical(self) -> Run:
        """The run with median accuracy (the better of two), for sections that show only one run."""
        return sorted(self.runs, key=lambda run: run.top1)[len(self.runs) // 2]


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Return the runs grouped by student, method and other differing settings, in order of first appearance."""
    differing = differing_settings(runs)
    found: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        flat = flatten(run.config)
        setting = " ".join(f"{key}={flat[key]}" for key in differing if key in flat)
        teacher = _teacher(run, runs) if run.result.method != "none" else ""
        found.setdefault((run.result.student, run.method, setting, teacher), []).append(run)
    return [
        Group(summarize([run.result for run in members], setting, teacher)[0], tuple(members))
        for (_, _, setting, teacher), members in found.items()
    ]


def alone_of(group: Group, groups: Sequence[Group]) -> Group | None:
    """Return the group of the same student with ``method=none``, or None if there is no other such group."""
    row = group.row.alone_among(other.row for other in groups)
    return next((other for other in groups if other.row is row and other is not group), None)


def difference_from_alone(group: Group, groups: Sequence[Group]) -> Difference | None:
    """Return the difference from the student alone, with p adjusted for all groups; None if it cannot be tested."""
    compared = zip(groups, against_alone([other.row for other in groups]))
    found = next(against for other, against in compared if other is group)
    return None if found is None else found.difference


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """Return the dotted keys in which the runs differ, except names, seed, method and how the run is computed."""
    trees = [flatten(run.config) for run in runs]
    apart = APART | HOW | {name for run in runs for name in run.result.method.split("+")}
    shared = sorted(set.intersection(*map(set, trees)))
    unlike = [key for key in shared if len({str(tree[key]) for tree in trees}) > 1]
    return [key for key in unlike if key not in apart and key.split(".")[0] not in apart]


def _teacher(run: Run, runs: Sequence[Run]) -> str:
    """Return the teacher's name if runs with the same seed have different teachers, and an empty string otherwise."""
    teachers = {str(other.config.get("teacher")) for other in runs if other.result.seed == run.result.seed}
    name = (run.config.get("teacher") or {}).get("name", "")
    return str(name) if len(teachers - {"None"}) > 1 else ""
