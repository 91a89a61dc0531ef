"""How the student of a run came to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tutelage.config import DistillSettings, RunSettings, command, read_json
from tutelage.export.card.licence import licence
from tutelage.training import Result, load_run


@dataclass(frozen=True)
class History:
    """What a finished run has recorded."""

    settings: RunSettings
    result: Result
    teachers: list[dict[str, Any]]
    """As in ``teacher.json``; none for a network that was trained alone."""

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        return command(self.settings.model_copy(update={"out": Path(self.result.folder)}))

    @property
    def figures(self) -> list[tuple[str, str, str]]:
        """Name, value and where and how it was measured, of each figure there is."""
        result = self.result
        of_test = f"{result.split}, {result.rule}"
        best = f"validation, the highest, in epoch {result.best_epoch}"
        rows = [
            ("top-1", result.top1, of_test),
            ("top-5", result.top5, of_test),
            ("top-1 on validation", result.best_top1, best),
            ("top-1 of the teacher", result.teacher_top1, result.split),
            ("same prediction as the teacher", result.agreement, of_test),
        ]
        return [(name, f"{value:.2f} %", where) for name, value, where in rows if value is not None]

    @property
    def licences(self) -> list[tuple[str, str]]:
        """Of the weights that the student began with, and of each teacher's."""
        settings = self.settings
        chosen = settings.student if isinstance(settings, DistillSettings) else settings.model  # type: ignore[attr-defined]
        rows = [(f"{chosen.name}, before training", licence(chosen.name, chosen.weights))]
        return rows + [(f"teacher {one['name']}", licence(one["name"], one["source"])) for one in self.teachers]


def read_history(folder: Path) -> History:
    """Reads a finished run's folder."""
    path = folder / "teacher.json"
    teacher = read_json(path, dict[str, Any]) if path.is_file() else None
    teachers = teacher.get("members", [teacher]) if teacher is not None else []
    return History(load_run(folder), Result.read(folder), teachers)
