"""Images in shards that are brought near when they are needed, ahead of the steps that read them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import filelock
import numpy as np

from tutelage.data.source import Near, Rows, Sharded, ShardError, read_span, shard_starts
from tutelage.data.stored.derived import cache_folder, unwritable
from tutelage.errors import TutelageError
from tutelage.locks import lock

IMAGES, SPANS = "images.bin", "spans.npy"
"""What a shard near at hand consists of: its images' bytes; first byte and length of each, (rows, 2) int64."""


@dataclass(frozen=True)
class Shard:
    """A file of many images, here or elsewhere."""

    name: str
    rows: int
    size: int
    """Bytes, once it is near at hand."""
    copy: Callable[[Path], None]
    """Fills a folder with ``IMAGES`` and ``SPANS``."""


class StreamedImages(Sharded):
    """Images in shards, each copied to the cache by the process that first needs it while others wait.

    Whoever reads batches also has a thread that copies what comes next, as :meth:`plan` says: the window of shards
    after those begun.

    Args:
        shards: in the order of their rows.
        labels: of all rows.
        key: the folder of the copies in the cache, DATA/SPLIT.
        window: how many shards are shuffled together, and are brought ahead.
        limit: bytes that shards of this data may take in the cache; None: no limit.

    Raises :class:`TutelageError` for a limit that does not hold the window that is read, those before and after it.
    """

    def __init__(self, shards: Sequence[Shard], labels: Rows, key: str, window: int, limit: int | None = None) -> None:
        self.labels = labels
        self.starts = shard_starts([shard.rows for shard in shards])
        self._shards, self._key, self._window, self._limit = shards, key, window, limit
        self._thread: _Thread | None = None
        self._near: Near = ()
        needed = sum(sorted((shard.size for shard in shards), reverse=True)[: 3 * window])
        if limit is not None and limit < needed:
            raise TutelageError(
                f"data.disk_gb={limit / 1e9:g} does not hold three windows of {window} shards: give at least "
                f"data.disk_gb={needed / 1e9:.3g}, or a smaller data.window"
            )

    def fetch(self, row: int) -> bytes:
        shard, place = self.locate(row)
        while True:
            with suppress(FileNotFoundError):  # another process evicts it in between
                return _read(self.copy(shard, self._near), place)

    def place(self, row: int) -> str:
        shard, place = self.locate(row)
        return f"{self._shards[shard].name}, row {place}"

    def probes(self, count: int) -> Rows:
        """Returns rows of the first shard, so that no other has to come for them."""
        return np.unique(np.linspace(0, self._shards[0].rows - 1, count).astype(np.int64))

    def plan(self, groups: Sequence[Rows]) -> list[Near]:
        """Returns for each group the window of shards that come after those begun, behind the last two of these."""
        if not groups:
            return []
        shards = np.searchsorted(self.starts, np.concatenate(groups), side="right") - 1
        used, first = np.unique(shards, return_index=True)
        order = used[np.argsort(first)]
        begun = np.searchsorted(np.sort(first), np.cumsum([len(group) for group in groups]))
        near = {
            count: tuple(order[max(0, count - 2 * self._window) : count + self._window].tolist())
            for count in np.unique(begun).tolist()
        }
        return [near[count] for count in begun.tolist()]

    def bring(self, near: Near) -> None:
        """Has a thread of this process copy the shards, and put others away where the limit asks for it."""
        self._near = near
        if self._thread is None:
            self._thread = _Thread(self._bring)
        self._thread.hand(near)

    def copy(self, shard: int, near: Near = (), wait: bool = True) -> Path:
        """Return the folder of a shard's copy, which is made if it does not exist.

        Under a limit, the processes that share the cache measure and copy one at a time, so that all keep it together.

        Args:
            shard: to copy.
            near: shards that are not evicted to make room.
            wait: whether to wait if another process is making the same copy.

        Raises:
            filelock.Timeout: another process is making the copy, and ``wait`` is false.
            ShardError: the copy cannot be made.
        """
        folder = self._folder(shard)
        if folder.is_dir():
            return folder
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(error) from None
        with self._limited(), lock(_beside(folder, "lock"), wait):
            if not folder.is_dir():
                self._make_room(self._shards[shard].size, near)
                # A name of its own a shard: what a dead process has left there goes first.
                partial = _beside(folder, "partial")
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                try:
                    self._shards[shard].copy(partial)
                except Exception as error:  # of the disk, the file, or whichever HTTP library is used
                    shutil.rmtree(partial, ignore_errors=True)
                    reason = str(error).strip().split("\n")[0]
                    raise ShardError(
                        f"{self._shards[shard].name} cannot be had ({reason}); a run that stops here goes on with "
                        f"tutelage resume"
                    ) from None
                partial.rename(folder)
        return folder

    def _bring(self, near: Near, changed: Callable[[], bool]) -> None:
        """Copies shards in order, but those that other processes are copying, until other ones are asked for."""
        for shard in near:
            if changed():
                return
            # Whoever reads a shard that cannot be had says so.
            with suppress(ShardError, filelock.Timeout):
                self.copy(shard, near, wait=False)

    def _limited(self) -> AbstractContextManager[object]:
        """Lock the copies of all splits if they share a limit."""
        if self._limit is None:
            return nullcontext()
        return lock(self._folder(0).parents[1] / ".lock", wait=True)

    def _make_room(self, size: int, near: Near) -> None:
        """Evict shards that are not in ``near``, the oldest first, until there is room for ``size`` bytes."""
        if self._limit is None:
            return
        spared = {self._folder(shard) for shard in near}
        found = sorted(_copies(self._folder(0).parents[1]))
        excess = sum(bytes for _, bytes, _ in found) + size - self._limit
        for _, bytes, folder in found:
            if excess <= 0:
                return
            if folder not in spared:
                excess -= bytes
                _put_away(folder)

    def _folder(self, shard: int) -> Path:
        return cache_folder() / "shards" / self._key / f"{shard:05d}"

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_thread": None}


class _Thread:
    """A thread that does the last thing asked of it, and ends with the process whatever it is at."""

    def __init__(self, work: Callable[[Near, Callable[[], bool]], None]) -> None:
        self._work = work
        self._last: Near | None = None
        self._asked: SimpleQueue[Near] = SimpleQueue()
        Thread(target=self._run, daemon=True).start()

    def hand(self, near: Near) -> None:
        if near != self._last:
            self._last = near
            self._asked.put(near)

    def _run(self) -> None:
        while True:
            self._work(self._asked.get(), lambda: not self._asked.empty())


def _copies(root: Path) -> Iterator[tuple[float, int, Path]]:
    """Yield time, bytes and folder of each local shard; another process may evict one while it is looked at."""
    for copy in root.glob("*/[!.]*/" + IMAGES):
        with suppress(FileNotFoundError):
            status = copy.stat()
            yield status.st_mtime, status.st_size, copy.parent


def _read(folder: Path, place: int) -> bytes:
    start, length = _spans(str(folder))[place].tolist()
    return read_span(folder / IMAGES, start, length)


@lru_cache(64)
def _spans(folder: str) -> Rows:
    return np.load(Path(folder) / SPANS)


def _put_away(folder: Path) -> None:
    """Removes a shard's copy whole: nobody sees a part of it."""
    gone = _beside(folder, "gone")
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(OSError):  # another process was faster
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f".{folder.name}.{what}")
