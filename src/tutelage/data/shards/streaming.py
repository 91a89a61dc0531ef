"""Images in shards that are prefetched to the local cache before they are needed."""

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
"""Files of a local shard: the bytes of its images, and the first byte and length of each image, (rows, 2) int64."""


@dataclass(frozen=True)
class Shard:
    """File with many images, local or remote."""

    name: str
    rows: int
    size: int
    """Size of the local copy in bytes."""
    copy: Callable[[Path], None]
    """Function that writes ``IMAGES`` and ``SPANS`` to a folder."""


class StreamedImages(Sharded):
    """Split of images in shards, which are copied to the cache on demand.

    The first process that needs a shard copies it while others wait. In each process that reads batches, a thread
    prefetches the next window of shards, as planned by ``plan``.

    Args:
        shards: The shards, in the order of their rows.
        labels: Labels of all rows.
        key: Folder of the copies in the cache, DATA/SPLIT.
        window: Number of shards that are shuffled together, and prefetched.
        limit: Maximum size in bytes of the data set's shards in the cache; None for no limit.

    Raises:
        TutelageError: If the limit is smaller than three windows: the current, the previous and the next one.
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
                f"data.disk_gb={limit / 1e9:g} cannot hold three windows of {window} shards; set at least "
                f"data.disk_gb={needed / 1e9:.3g}, or a smaller data.window"
            )

    def fetch(self, row: int) -> bytes:
        shard, place = self.locate(row)
        while True:
            with suppress(FileNotFoundError):  # another process may evict the copy before it is read
                return _read(self.copy(shard, self._near), place)

    def place(self, row: int) -> str:
        shard, place = self.locate(row)
        return f"{self._shards[shard].name}, row {place}"

    def probes(self, count: int) -> Rows:
        """Return rows of the first shard, so that no other shard is downloaded for them."""
        return np.unique(np.linspace(0, self._shards[0].rows - 1, count).astype(np.int64))

    def plan(self, groups: Sequence[Rows]) -> list[Near]:
        """Return for each group the next window of shards, after up to two windows of shards that are in use."""
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
        """Copy shards in a thread of this process, and evict others if the limit requires it."""
        self._near = near
        if self._thread is None:
            self._thread = _Thread(self._bring)
        self._thread.hand(near)

    def copy(self, shard: int, near: Near = (), wait: bool = True) -> Path:
        """Return the folder of a shard's copy, which is made if it does not exist.

        With a limit, the processes that share the cache copy one at a time, so that together they stay below it.

        Args:
            shard: Number of the shard.
            near: Shards that must not be evicted.
            wait: Whether to wait if another process is making the same copy.

        Raises:
            filelock.Timeout: If another process is making the copy, and ``wait`` is False.
            ShardError: If the copy cannot be made.
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
                # The name is fixed per shard, so that the leftovers of a killed process are found and removed.
                partial = _beside(folder, "partial")
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                try:
                    self._shards[shard].copy(partial)
                except Exception as error:  # errors of the disk, the file or the HTTP library
                    shutil.rmtree(partial, ignore_errors=True)
                    reason = str(error).strip().split("\n")[0]
                    raise ShardError(
                        f"{self._shards[shard].name} cannot be fetched ({reason}); once this is fixed, continue the "
                        f"run with tutelage resume"
                    ) from None
                partial.rename(folder)
        return folder

    def _bring(self, near: Near, changed: Callable[[], bool]) -> None:
        """Copy shards in order until ``changed()``, and skip those that other processes are copying."""
        for shard in near:
            if changed():
                return
            # Errors are reported when the shard is read.
            with suppress(ShardError, filelock.Timeout):
                self.copy(shard, near, wait=False)

    def _limited(self) -> AbstractContextManager[object]:
        """Return a lock for the copies of all splits, which does nothing without a limit."""
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
    """Daemon thread that works on the latest request."""

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
    """Yield modification time, size and folder of each local shard, except those evicted in the meantime."""
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
    """Remove a shard's copy atomically, by renaming it first."""
    gone = _beside(folder, "gone")
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(OSError):  # another process already removed it
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f".{folder.name}.{what}")
