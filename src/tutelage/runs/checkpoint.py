"""``Checkpoint``: the whole state of a training run, in one sealed file with a format version."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tutelage.errors import TutelageError
from tutelage.runs.sealed import read_sealed, replace, write_sealed

FORMAT = 2
"""Version of the file format. If you change the format, raise it and add a reader for the previous version."""


@dataclass
class Progress:
    """The progress of a run up to its last complete epoch."""

    stage: int = 0
    epoch: int = 0
    """Completed epochs of the stage."""
    seconds: float = 0.0
    images: int = 0
    best_top1: float | None = None
    """Highest validation accuracy, in percent; agreement with the teacher if there are no labels."""
    best_epoch: int | None = None
    """The epoch of ``best_top1``, counted from 1 over the whole run."""
    records: int = 0
    """Number of lines in metrics.jsonl."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors and plain values from which a run resumes exactly."""

    student: dict[str, Any]
    averaged: dict[str, Any] | None
    """The moving average of the student's weights, if there is one."""
    terms: dict[str, Any]
    """The connectors of the current stage."""
    optimizer: dict[str, Any]
    scaler: dict[str, Any] | None
    random: list[dict[str, Any]]
    """The random state of each process."""
    progress: Progress
    epoch: dict[str, Any] | None
    """The state of the current epoch; None between epochs."""

    @property
    def step(self) -> int:
        """Completed steps of the current epoch."""
        return self.epoch["step"] if self.epoch is not None else 0

    def save(self, path: Path) -> None:
        """Write the checkpoint atomically; its tensors stream into the file without being copied."""
        state = {**vars(self), "progress": asdict(self.progress), "format": FORMAT}
        replace(path, lambda temporary: write_sealed(temporary, state))

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint of this format or an older one.

        Raises:
            DamagedFile: If the content does not match its hash.
            TutelageError: If the file is not a checkpoint, or a newer version of tutelage wrote it.
        """
        state = read_sealed(path)
        version = state.pop("format", 1)
        if version > FORMAT:
            raise TutelageError(
                f"{path} has format {version}, and this version of tutelage reads formats up to {FORMAT}; resume the "
                f"run with the version that wrote it (RUN/environment.json names it)"
            )
        if version == 1:
            state = _from_format_1(state)
        return cls(**{**state, "progress": Progress(**state["progress"])})


def _from_format_1(state: dict[str, Any]) -> dict[str, Any]:
    """Convert a state of tutelage 0.1, which stored the current epoch as part of the run's progress."""
    progress = dict(state["progress"])
    step, seconds, waited, hits, terms = (progress.pop(k) for k in ("step", "step_seconds", "waited", "hits", "terms"))
    epoch = {"step": step, "seconds": seconds, "waited": waited, "hits": hits, **(terms or {})}
    return {**state, "progress": progress, "epoch": epoch if step else None}
