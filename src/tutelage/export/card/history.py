"""Training history of a student, for the model card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tutelage.config import DistillSettings, RunSettings, command, read_json
from tutelage.export.card.licence import licence
from tutelage.training import Result, load_run


@dataclass(frozen=True)
class History:
    """Settings, results and teachers of a finished run."""

    settings: RunSettings
    result: Result
    teachers: list[dict[str, Any]]
    """The content of ``teacher.json``, one per teacher; empty if the network was trained without a teacher."""

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        return command(self.settings.model_copy(update={"out": Path(self.result.folder)}))

    @property
    def figures(self) -> list[tuple[str, str, str]]:
        """The available results, each as name, value, and split with rule."""
        result = self.result
        of_test = f"{result.split}, {result.rule}"
        best = f"validation, best epoch ({result.best_epoch})"
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
        """Licenses of the student's initial weights and of each teacher's weights."""
        settings = self.settings
        chosen = settings.student if isinstance(settings, DistillSettings) else settings.model  # type: ignore[attr-defined]
        rows = [(f"{chosen.name}, before training", licence(chosen.name, chosen.weights))]
        return rows + [(f"teacher {one['name']}", licence(one["name"], one["source"])) for one in self.teachers]


def read_history(folder: Path) -> History:
    """Read the history of a finished run from its folder."""
    path = folder / "teacher.json"
    teacher = read_json(path, dict[str, Any]) if path.is_file() else None
    teachers = teacher.get("members", [teacher]) if teacher is not None else []
    return History(load_run(folder), Result.read(folder), teachers)
