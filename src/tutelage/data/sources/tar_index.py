"""Index of the samples in tar shards, read from their headers once and stored as a memory-mapped Arrow file."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tutelage.console import phase
from tutelage.data.source import Rows
from tutelage.data.visible_files import SUFFIXES
from tutelage.errors import TutelageError

INDEX = "index.arrow"
"""Name of the index that ``tutelage data pack`` writes next to its shards."""
SCHEMA = pa.schema([("name", pa.string()), ("offset", pa.int64()), ("size", pa.int64()), ("label", pa.int64())])
"""Columns for a sample: name of the image in the tar file, offset and number of its bytes, class number."""

_MEMBER = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
"""Key and extension of a member. Members with one key form a sample; hidden files do not match."""


@dataclass(frozen=True)
class TarIndex:
    """Samples of shards, one record batch per shard. Record batches of a file are mapped to memory, not read."""

    sizes: Mapping[str, int]
    """Size of each shard in bytes, by its path relative to the data folder."""
    samples: list[pa.RecordBatch]

    @classmethod
    def open(cls, path: Path) -> TarIndex:
        """Open an index that ``save`` wrote.

        Raises:
            TutelageError: If the file is not a valid index.
        """
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
            if not reader.schema.equals(SCHEMA):
                raise ValueError(f"its columns are {', '.join(reader.schema.names)}")
            sizes = json.loads(reader.schema.metadata[b"shards"])
            samples = [reader.get_batch(number) for number in range(reader.num_record_batches)]
            if len(sizes) != len(samples) or not all(map(_inside, samples, sizes.values())):
                raise ValueError("samples are outside their shards")
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise TutelageError(f"{path} is not an index of shards ({error}); remove it to rebuild it") from None
        return cls(sizes, samples)

    def labels(self, shard: int) -> Rows:
        """Return the labels of a shard's samples, −1 for unlabeled ones."""
        return self.samples[shard].column("label").fill_null(-1).to_numpy()

    def save(self, path: Path) -> None:
        """Write the index to an Arrow file."""
        schema = SCHEMA.with_metadata({"shards": json.dumps(self.sizes)})
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for batch in self.samples:
                writer.write_batch(batch)


def _inside(samples: pa.RecordBatch, size: int) -> bool:
    """Return whether all images lie within a shard of ``size`` bytes; indexes of unknown origin may be wrong."""
    starts, lengths = samples.column("offset").to_numpy(), samples.column("size").to_numpy()
    return bool(((starts >= 0) & (lengths >= 0) & (lengths <= size) & (starts <= size - lengths)).all())


def scan(root: Path, shards: Iterable[Path]) -> TarIndex:
    """Return an index of shards below ``root``, read from their headers.

    Raises:
        TutelageError: If a shard is damaged or compressed, or a sample has no image, two images or an invalid label.
    """
    paths = list(shards)
    sizes = {path.relative_to(root).as_posix(): path.stat().st_size for path in paths}
    scanned = []
    with phase("reading the headers of tar shards", len(paths)) as advance:
        for path in paths:
            scanned.append(_scan(path))
            advance(1)
    return TarIndex(sizes, scanned)


@dataclass
class _Sample:
    image: tarfile.TarInfo | None = None
    label: int | None = None


def _scan(path: Path) -> pa.RecordBatch:
    samples: dict[str, _Sample] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                _check_member(member)
                parts = _MEMBER.fullmatch(member.name)
                if member.isreg() and parts is not None:
                    _take(samples, parts[1], parts[2].lower(), member, tar, path)
            _check_end(tar)
    except (tarfile.TarError, OSError) as error:
        raise TutelageError(
            f"{path} is not a complete, uncompressed tar file ({error}); copy it again, or decompress it to .tar"
        ) from None
    empty = next((key for key, sample in samples.items() if sample.image is None), None)
    if empty is not None:
        raise TutelageError(f"{path}: sample '{empty}' has a label but no image ({', '.join(SUFFIXES)}); add the image")
    images = [sample.image for sample in samples.values() if sample.image is not None]
    columns = [
        [image.name for image in images],
        [image.offset_data for image in images],
        [image.size for image in images],
        [sample.label for sample in samples.values()],
    ]
    return pa.record_batch([pa.array(column, field.type) for column, field in zip(columns, SCHEMA)], schema=SCHEMA)


def _check_member(member: tarfile.TarInfo) -> None:
    """Raise ReadError for members that tarfile accepts: negative sizes, sparse files, names that are not UTF-8."""
    if member.size < 0:
        raise tarfile.ReadError(f"{member.name!r} has the size {member.size}")
    if member.issparse():
        raise tarfile.ReadError(f"{member.name!r} is stored as a sparse file; pack it again without --sparse")
    try:
        member.name.encode()
    except UnicodeEncodeError:
        raise tarfile.ReadError(f"the name {member.name!r} is not UTF-8") from None


def _take(
    samples: dict[str, _Sample], key: str, extension: str, member: tarfile.TarInfo, tar: tarfile.TarFile, path: Path
) -> None:
    """Add a member to its sample if it is an image or a label."""
    if f".{extension}" in SUFFIXES:
        sample = samples.setdefault(key, _Sample())
        if sample.image is not None:
            raise TutelageError(
                f"{path}: sample '{key}' has two images, {sample.image.name} and {member.name}; keep one"
            )
        sample.image = member
    elif extension in ("cls", "json"):
        content = tar.extractfile(member)
        assert content is not None  # it is a regular file
        label = _label(content.read(), extension, f"{path}: the label of sample '{key}'")
        sample = samples.setdefault(key, _Sample())
        sample.label = label if extension == "cls" or sample.label is None else sample.label


def _label(content: bytes, extension: str, what: str) -> int | None:
    """Return the class number in KEY.cls, or under ``label`` in KEY.json; None if the latter has none."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = content[:40].decode("utf-8", "replace").strip()
    if extension == "json":
        value = value.get("label") if isinstance(value, dict) else None
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not -1 <= value < 2**31):
        raise TutelageError(f"{what} is {value!r}, not a class number; use 0, 1, … or -1 for unlabelled")
    return value


def _check_end(tar: tarfile.TarFile) -> None:
    """Raise ReadError if the headers end before the file; tarfile treats a damaged header as the end."""
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"it is damaged at byte {tar.offset:,}")
