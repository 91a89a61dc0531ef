"""Records of a fixed size in memory-mapped files: written in any order, by any process, and never half read."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from torch import Tensor

from tutelage.distillation.cache.encoding import Encoding, StructuredArray
from tutelage.errors import TutelageError

Rows = npt.NDArray[np.int64]

CHECKSUM_BYTES = 4
"""What a record has beside its payload."""


class Records:
    """One record for each of ``rows``, in files ``00000.npy``, ``00001.npy``, …, made on first write.

    A record is a checksum and a payload. A checksum of 0 says that there is none; a wrong one, that its writing was cut
    short or the disk has changed it. Both count as absent: what is read was once written whole. Files start as holes,
    and take up disk as they are filled. A file that is no shard of this dtype and length is removed with a warning.

    Processes and threads may read and write at once: disjoint rows, or the same values in the same rows.

    Args:
        folder: holds the files and nothing else.
        rows: how many records there can be; a row is in [0, rows).
        encoding: makes payloads of targets.
        shard_bytes: largest size of the records of one file.
    """

    def __init__(self, folder: Path, rows: int, encoding: Encoding, shard_bytes: int = 2**30) -> None:
        self.folder = folder
        self.rows = rows
        self.encoding = encoding
        # Packed: padding would be bytes that belong to no value.
        self.dtype = np.dtype([("checksum", "<u4"), ("payload", np.dtype(encoding.fields))])
        self.rows_per_shard = max(1, shard_bytes // self.dtype.itemsize)
        self._shards: dict[int, StructuredArray] = {}

    def write(self, rows: Rows, target: Tensor) -> None:
        """Keeps a batch of targets, one for each of ``rows`` (B,); what was there is overwritten.

        Raises :class:`TutelageError` where the encoding cannot hold a value, or the disk is full.
        """
        payload = self.encoding.encode(target)
        checksum = _checksums(payload)
        for shard, batch, local in self._by_shard(rows):
            while (records := self._open(shard)) is None:
                self._create(shard)
            records["payload"][local] = payload[batch]
            records["checksum"][local] = checksum[batch]

    def read(self, rows: Rows) -> Tensor | None:
        """Returns the targets of ``rows`` (B,) as the encoding decodes them; None where any of them is absent."""
        found = np.empty(len(rows), self.dtype)
        for shard, batch, local in self._by_shard(rows):
            records = self._open(shard)
            if records is None:
                return None
            found[batch] = records[local]
        payload = found["payload"]
        return self.encoding.decode(payload) if (found["checksum"] == _checksums(payload)).all() else None

    def present(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Returns which of ``rows`` (B,) were written, (B,); whether they are intact shows when they are read."""
        found = np.zeros(len(rows), bool)
        for shard, batch, local in self._by_shard(rows):
            records = self._open(shard)
            if records is not None:
                found[batch] = records["checksum"][local] != 0
        return found

    def _by_shard(self, rows: Rows) -> Iterator[tuple[int, Rows, Rows]]:
        """For each shard that holds some of ``rows``: its number, their places in the batch, and in the shard."""
        shards, local = np.divmod(rows, self.rows_per_shard)
        for shard in np.unique(shards).tolist():
            batch = np.flatnonzero(shards == shard)
            yield shard, batch, local[batch]

    def _open(self, shard: int) -> StructuredArray | None:
        """The shard's records, mapped and writable; None where there is no such file, or no longer."""
        if shard not in self._shards:
            path, length = self._path(shard), self._length(shard)
            with suppress(FileNotFoundError), path.open("r+b") as file:
                if self._fits(file, length):
                    mapped = np.memmap(file, self.dtype, "r+", file.tell(), length)
                    self._shards[shard] = mapped.view(np.ndarray)
                else:
                    warnings.warn(f"{path} is damaged or foreign: its targets will be computed again", stacklevel=3)
                    # Another process may have seen it too, and have put a new file there by now.
                    if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                        path.unlink()
        return self._shards.get(shard)

    def _fits(self, file: BinaryIO, length: int) -> bool:
        """Whether a file is a whole shard of ``length`` records; it is read up to where they start."""
        try:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        except (ValueError, SyntaxError, TokenError):
            return False
        size = file.tell() + length * self.dtype.itemsize
        return dtype == self.dtype and shape == (length,) and os.fstat(file.fileno()).st_size == size

    def _create(self, shard: int) -> None:
        """Puts a file without records in place, unless another process has done so."""
        self.folder.mkdir(parents=True, exist_ok=True)
        needed, free = self._length(shard) * self.dtype.itemsize, shutil.disk_usage(self.folder).free
        if needed > free:
            # Said now: a mapped file that finds the disk full later kills the process without a word.
            raise TutelageError(
                f"{self.folder} needs {needed / 2**20:.0f} MiB for targets, and the disk has {free / 2**20:.0f} free: "
                f"give cache.folder=… on another one"
            )
        path = self._path(shard)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=self.folder) as partial:
            empty = Path(partial) / path.name
            np.lib.format.open_memmap(empty, mode="w+", dtype=self.dtype, shape=(self._length(shard),))
            # A link, for it fails where a rename would replace the file that others write to.
            try:
                os.link(empty, path)
            except FileExistsError:
                pass
            except OSError:  # a file system without links
                empty.replace(path)

    def _path(self, shard: int) -> Path:
        return self.folder / f"{shard:05d}.npy"

    def _length(self, shard: int) -> int:
        return min(self.rows_per_shard, self.rows - shard * self.rows_per_shard)


def _checksums(payload: StructuredArray) -> npt.NDArray[np.uint32]:
    # 0 is kept for records that are absent.
    return np.array([zlib.crc32(record) or 1 for record in payload], np.uint32)
