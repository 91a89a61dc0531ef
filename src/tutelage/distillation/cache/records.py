"""Records of a fixed size in memory-mapped files, written in any order by several processes."""

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
"""Size of a record's checksum."""


class Records:
    """One record per row, in files ``00000.npy``, ``00001.npy``, …, which are created on first write.

    A record is a checksum and a payload. A record counts as absent if its checksum is 0 (never written) or wrong
    (partly written, or damaged on disk), so only complete records are read. Files are sparse and take up disk space
    as they are filled. A file that is not a shard of this dtype and length is removed with a warning.

    Several processes and threads may read and write at the same time, as long as they write disjoint rows or the same
    values to the same rows.

    Args:
        folder: Folder of the files; it contains nothing else.
        rows: Number of rows.
        encoding: Converts targets to payloads and back.
        shard_bytes: Largest size of the records in one file.
    """

    def __init__(self, folder: Path, rows: int, encoding: Encoding, shard_bytes: int = 2**30) -> None:
        self.folder = folder
        self.rows = rows
        self.encoding = encoding
        # Packed, because the checksum would cover padding bytes, whose content is undefined.
        self.dtype = np.dtype([("checksum", "<u4"), ("payload", np.dtype(encoding.fields))])
        self.rows_per_shard = max(1, shard_bytes // self.dtype.itemsize)
        self._shards: dict[int, StructuredArray] = {}

    def write(self, rows: Rows, target: Tensor) -> None:
        """Write a batch of targets to ``rows`` (B,), and overwrite existing records.

        Raises:
            TutelageError: If the encoding cannot represent a value, or the disk is full.
        """
        payload = self.encoding.encode(target)
        checksum = _checksums(payload)
        for shard, batch, local in self._by_shard(rows):
            while (records := self._open(shard)) is None:
                self._create(shard)
            records["payload"][local] = payload[batch]
            records["checksum"][local] = checksum[batch]

    def read(self, rows: Rows) -> Tensor | None:
        """Return the decoded targets of ``rows`` (B,), or None if any of them is absent."""
        found = np.empty(len(rows), self.dtype)
        for shard, batch, local in self._by_shard(rows):
            records = self._open(shard)
            if records is None:
                return None
            found[batch] = records[local]
        payload = found["payload"]
        return self.encoding.decode(payload) if (found["checksum"] == _checksums(payload)).all() else None

    def present(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Return a mask (B,) of the ``rows`` (B,) that were written; only :meth:`read` checks their checksums."""
        found = np.zeros(len(rows), bool)
        for shard, batch, local in self._by_shard(rows):
            records = self._open(shard)
            if records is not None:
                found[batch] = records["checksum"][local] != 0
        return found

    def _by_shard(self, rows: Rows) -> Iterator[tuple[int, Rows, Rows]]:
        """Yield the number of each shard that holds some of ``rows``, their positions in the batch and in the shard."""
        shards, local = np.divmod(rows, self.rows_per_shard)
        for shard in np.unique(shards).tolist():
            batch = np.flatnonzero(shards == shard)
            yield shard, batch, local[batch]

    def _open(self, shard: int) -> StructuredArray | None:
        """Return the shard's records, mapped and writable, or None if its file does not exist or was removed."""
        if shard not in self._shards:
            path, length = self._path(shard), self._length(shard)
            with suppress(FileNotFoundError), path.open("r+b") as file:
                if self._fits(file, length):
                    mapped = np.memmap(file, self.dtype, "r+", file.tell(), length)
                    self._shards[shard] = mapped.view(np.ndarray)
                else:
                    warnings.warn(
                        f"recomputing the targets in {path}, which is damaged or belongs to another cache", stacklevel=3
                    )
                    # Another process may have found the same and already replaced the file.
                    if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                        path.unlink()
        return self._shards.get(shard)

    def _fits(self, file: BinaryIO, length: int) -> bool:
        """Return whether a file is a whole shard of ``length`` records; afterwards its position is the first record."""
        try:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        except (ValueError, SyntaxError, TokenError):
            return False
        size = file.tell() + length * self.dtype.itemsize
        return dtype == self.dtype and shape == (length,) and os.fstat(file.fileno()).st_size == size

    def _create(self, shard: int) -> None:
        """Create a shard without records, unless another process has done so."""
        self.folder.mkdir(parents=True, exist_ok=True)
        needed, free = self._length(shard) * self.dtype.itemsize, shutil.disk_usage(self.folder).free
        if needed > free:
            # Writing to a mapped file on a full disk would kill the process without a message.
            raise TutelageError(
                f"{self.folder} needs {needed / 2**20:.0f} MiB for targets, and its disk has {free / 2**20:.0f} free; "
                f"set cache.folder to another disk"
            )
        path = self._path(shard)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=self.folder) as partial:
            empty = Path(partial) / path.name
            np.lib.format.open_memmap(empty, mode="w+", dtype=self.dtype, shape=(self._length(shard),))
            # A link fails if the file exists; a rename would replace a file that others write to.
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
    # 0 marks absent records.
    return np.array([zlib.crc32(record) or 1 for record in payload], np.uint32)
