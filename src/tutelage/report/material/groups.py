"""Runs that differ in their seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.config import flatten
from tutelage.report.material.run import Run
from tutelage.study import Row, summarize

APART = {"out", "overwrite", "seed", "student", "model", "teacher", "method", "cache"}
"""Settings that are told otherwise, or change no result."""
HOW = {"device", "compile", "log_every", "validate_every", "accumulate", "precision", "data.workers"}
"""Settings of how a run is computed, not of what."""


@dataclass(frozen=True, eq=False)
class Group:
    """The runs of one student with one method and one setting."""

    row: Row
    runs: tuple[Run, ...]

    @property
    def alone(self) -> bool:
        return self.row.method == "none"

    @property
    def method(self) -> str:
        """The method, ``alone`` without one, and what else tells the group from others."""
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
        """The run of median accuracy, the better one of two: what is shown where only one can be."""
        return sorted(self.runs, key=lambda run: run.top1)[len(self.runs) // 2]


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Returns the runs by student, method and whatever other settings differ, in the order of their first one."""
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
    """Returns the runs of the group's student without a method; None where there are none, or it is they."""
    row = group.row.alone_among(other.row for other in groups)
    return next((other for other in groups if other.row is row and other is not group), None)


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """Returns the dotted keys, apart from names, seed, methods and how it is computed, in which the runs differ."""
    trees = [flatten(run.config) for run in runs]
    apart = APART | HOW | {name for run in runs for name in run.result.method.split("+")}
    shared = sorted(set.intersection(*map(set, trees)))
    unlike = [key for key in shared if len({str(tree[key]) for tree in trees}) > 1]
    return [key for key in unlike if key not in apart and key.split(".")[0] not in apart]


def _teacher(run: Run, runs: Sequence[Run]) -> str:
    """Which teacher, where it tells runs of one seed apart; teachers that go with the seeds are as one."""
    teachers = {str(other.config.get("teacher")) for other in runs if other.result.seed == run.result.seed}
    name = (run.config.get("teacher") or {}).get("name", "")
    return str(name) if len(teachers - {"None"}) > 1 else ""
