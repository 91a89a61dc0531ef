"""``RunFolder``: the files of a run."""

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
from tutelage.paths import check_out
from tutelage.runs.checkpoint import Checkpoint
from tutelage.runs.sealed import DamagedFile, replace


class RunFolder:
    """The folder of a run: its paths, atomic writes and lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check_free(self, overwrite: bool) -> None:
        """Check that a run can be created at the path.

        Raises:
            TutelageError: If a run exists and ``overwrite`` is false, or something other than a run exists.
        """
        check_out(self.path, overwrite, "a run folder", self.is_run(), f"; 'tutelage resume {self.path}' continues it")

    def is_run(self) -> bool:
        """Return whether a run created the folder; ``config.yaml`` alone may belong to another project."""
        return self.config.is_file() and (self.path / "environment.json").is_file()

    def is_finished(self) -> bool:
        """Return whether the run has a result."""
        return (self.path / "result.json").is_file()

    def create(self, overwrite: bool) -> None:
        """Create an empty run folder, and delete a previous run if ``overwrite`` is true.

        Raises:
            TutelageError: If something exists that must not be overwritten, or the folder cannot be created.
        """
        self.check_free(overwrite)
        try:
            if self.is_run():
                with self.lock():  # never delete a run that is still in progress
                    shutil.rmtree(self.path)
            (self.path / "checkpoints").mkdir(parents=True)
        except OSError as error:
            raise TutelageError(
                f"the run folder {self.path} cannot be created ({error.strerror}); set out=… to a writable folder"
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
        """A marker of runs that stopped and can be resumed, because launchers do not forward the exit code."""
        return self.path / "checkpoints" / "stopped"

    @property
    def measured(self) -> Path:
        """The teacher's accuracy and predictions, measured before training."""
        return self.path / "checkpoints" / "teacher"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last"

    def write_text(self, name: str, text: str) -> None:
        """Write ``name`` atomically."""
        replace(self.path / name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_json(self, name: str, content: Any) -> None:
        """Write ``name`` atomically, as indented JSON."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def log(self, what: RenderableType) -> None:
        """Append console output to ``log.txt``."""
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            Console(file=file, width=160).print(what, highlight=False, soft_wrap=isinstance(what, str))

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the records of ``metrics.jsonl``, or an empty list if the file does not exist yet.

        An incomplete last line, which a killed run may leave, is skipped.

        Raises:
            TutelageError: If any other line is not a record.
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
                raise TutelageError(
                    f"{self.metrics}, line {number}, is damaged ({error}); fix or remove the line"
                ) from None
        return records

    def rewind(self, records: int) -> None:
        """Truncate the metrics to the first ``records`` lines, and remove the marker of a stopped run."""
        lines = self.read_metrics()[:records]
        self.write_text("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        self.stopped.unlink(missing_ok=True)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write ``checkpoints/last``; the previous one becomes ``checkpoints/before``."""
        if self.last.exists():
            self.last.replace(self.before)
        checkpoint.save(self.last)

    def load_checkpoint(self) -> tuple[Checkpoint | None, str | None]:
        """Load the last checkpoint, or the previous one if the last is damaged.

        Returns:
            The checkpoint, or None if there is none yet; and a message if the last checkpoint is damaged, or None.

        Raises:
            TutelageError: If every checkpoint is damaged, or a newer version of tutelage wrote it.
        """
        faults: list[str] = []
        for path in (self.last, self.before):
            if path.exists():
                try:
                    checkpoint = Checkpoint.load(path)
                except DamagedFile as fault:
                    faults.append(str(fault))
                else:
                    return checkpoint, f"{faults[0]}; resuming from the previous checkpoint" if faults else None
        if faults:
            raise TutelageError(f"{'; '.join(faults)}; no checkpoint is left to resume from, so start a new run")
        return None, None

    def save_failed(self, checkpoint: Checkpoint) -> None:
        """Write ``checkpoints/failed``, the state before the step that was not finite."""
        checkpoint.save(self.failed)

    def load_failed(self) -> Checkpoint:
        """Load ``checkpoints/failed``.

        Raises:
            TutelageError: If no step of the run failed, or the file is damaged.
        """
        if not self.failed.exists():
            raise TutelageError(f"{self.path}: no step of this run has failed; there is nothing to replay")
        return Checkpoint.load(self.failed)

    def lock(self) -> AbstractContextManager[object]:
        """Lock the folder until the returned context exits or the process ends.

        Raises:
            TutelageError: If a run in another process holds the lock.
        """
        try:
            return lock(self.path / "checkpoints" / "lock", wait=False)
        except Timeout:
            raise TutelageError(
                f"{self.path}: a run in this folder is still in progress; wait for it, or set another out=…"
            ) from None
