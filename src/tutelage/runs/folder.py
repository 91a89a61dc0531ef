"""The folder of a run: what is in it, and that nothing in it is ever half-written or overwritten by accident."""

from __future__ import annotations

import json
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from filelock import Timeout
from rich.console import Console, RenderableType

from tutelage.errors import TutelageError
from tutelage.locks import lock
from tutelage.runs.sealed import read_sealed, replace, write_sealed


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
            if self.is_run():
                with self.lock():  # not under the feet of a run that is under way
                    shutil.rmtree(self.path)
            (self.path / "checkpoints").mkdir(parents=True)
        except OSError as error:
            raise TutelageError(
                f"the run folder {self.path} cannot be made ({error.strerror}): set out=… to a folder that can be "
                f"written"
            ) from None

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
    def before(self) -> Path:
        return self.path / "checkpoints" / "before"

    @property
    def failed(self) -> Path:
        return self.path / "checkpoints" / "failed"

    @property
    def stopped(self) -> Path:
        """There where the run ended itself and waits to be resumed; launchers do not pass on its exit code."""
        return self.path / "checkpoints" / "stopped"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last"

    def write_text(self, name: str, text: str) -> None:
        """Writes ``name`` atomically."""
        replace(self.path / name, lambda path: path.write_text(text, encoding="utf-8"))

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
        """Returns the lines of ``metrics.jsonl``; none where there is no such file yet.

        A last one that a stopped run did not write to its end is left out. Raises :class:`TutelageError` for any other
        that is no record.
        """
        if not self.metrics.exists():
            return []
        records: list[dict[str, Any]] = []
        lines = self.metrics.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            try:
                records.append(dict(json.loads(line)))
            except (ValueError, TypeError) as error:
                if number == len(lines) and not line.endswith(b"\n"):
                    break
                raise TutelageError(f"{self.metrics}, line {number}, is damaged: {error}") from None
        return records

    def keep_metrics(self, count: int) -> None:
        """Drops the lines written after the checkpoint that a resumed run starts from."""
        lines = self.read_metrics()[:count]
        self.write_text("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Writes ``checkpoints/last``; the one that was there becomes ``checkpoints/before``."""
        if self.last.exists():
            self.last.replace(self.before)
        replace(self.last, lambda path: write_sealed(path, state))

    def save_failed(self, state: dict[str, Any]) -> None:
        """Writes ``checkpoints/failed``: the weights that a step which is not finite began with."""
        replace(self.failed, lambda path: write_sealed(path, state))

    def load_failed(self) -> dict[str, Any]:
        """Returns ``checkpoints/failed``; raises :class:`TutelageError` where no step failed, or it is damaged."""
        if not self.failed.exists():
            raise TutelageError(f"{self.path}: no step of this run has failed, so there is none to replay")
        return read_sealed(self.failed)

    def load_checkpoint(self) -> tuple[dict[str, Any] | None, str | None]:
        """Returns the last checkpoint, None where there is none yet; and a word where it is the one before.

        Raises :class:`TutelageError` where both are damaged.
        """
        faults: list[str] = []
        for path in (self.last, self.before):
            if path.exists():
                try:
                    return read_sealed(path), f"{faults[0]}; going on from the checkpoint before" if faults else None
                except TutelageError as fault:
                    faults.append(str(fault))
        if faults:
            raise TutelageError(f"{'; '.join(faults)}: no checkpoint is left to go on from; start the run anew")
        return None, None

    def lock(self) -> AbstractContextManager[object]:
        """Lock the folder until what is returned is left, or the process ends.

        Raises :class:`TutelageError` where a run in another process has it.
        """
        try:
            return lock(self.path / "checkpoints" / "lock", wait=False)
        except Timeout:
            raise TutelageError(f"{self.path}: a run is under way there; wait for it, or give another out=…") from None
