"""The folder of a run: what is in it, and that nothing in it is ever half-written or overwritten by accident."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from rich.console import Console, RenderableType

from tutelage.errors import TutelageError


class RunFolder:
    """Paths and atomic writes of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check_free(self, overwrite: bool) -> None:
        """Raises :class:`TutelageError` where something exists at the path that is not to be overwritten."""
        path = self.path
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return
        if not self.is_run():
            raise TutelageError(f"{path} exists and is not a run folder, so it is left alone: choose another out=…")
        if not overwrite:
            raise TutelageError(
                f"{path} exists: choose another out=…, say overwrite=true to replace it, or continue it with "
                f"'tutelage resume {path}'"
            )

    def is_run(self) -> bool:
        """Whether a run made the folder; other projects keep a ``config.yaml`` too."""
        made = (self.config, self.path / "checkpoints", self.path / "environment.json")
        return all(path.exists() for path in made)

    def is_finished(self) -> bool:
        """Whether the run has its result."""
        return (self.path / "result.json").is_file()

    def create(self, overwrite: bool) -> None:
        """Makes the folder anew; raises :class:`TutelageError` as :meth:`check_free`, or where it cannot be made."""
        self.check_free(overwrite)
        try:
            if self.path.exists():
                shutil.rmtree(self.path)
            (self.path / "checkpoints").mkdir(parents=True)
        except OSError as error:
            raise TutelageError(f"the run folder {self.path} cannot be made: {error.strerror}") from None

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def student(self) -> Path:
        return self.path / "student"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last"

    def write_text(self, name: str, text: str) -> None:
        """Writes ``name`` atomically."""
        _replace(self.path / name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_json(self, name: str, content: Any) -> None:
        """Writes ``name`` atomically, as indented JSON."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def log(self, what: RenderableType) -> None:
        """Adds what was shown on the screen to ``log.txt``."""
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            Console(file=file, width=160).print(what, highlight=False, soft_wrap=isinstance(what, str))

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Adds one line to ``metrics.jsonl``."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Returns the lines of ``metrics.jsonl``; none where there is no such file yet."""
        if not self.metrics.exists():
            return []
        return [json.loads(line) for line in self.metrics.read_text(encoding="utf-8").splitlines()]

    def keep_metrics(self, count: int) -> None:
        """Drops the lines written after the checkpoint that a resumed run starts from."""
        lines = self.read_metrics()[:count]
        self.write_text("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Writes ``checkpoints/last`` atomically."""
        _replace(self.last, lambda path: torch.save(state, path))

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Returns ``checkpoints/last``, read without unpickling code; None where no epoch has been finished."""
        if not self.last.exists():
            return None
        return torch.load(self.last, map_location="cpu", weights_only=True)


def _replace(path: Path, write: Any) -> None:
    temporary = path.with_name(path.name + ".tmp")
    write(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
