"""Where the samples of tar shards lie: read off the shards' headers once, kept as an Arrow file that is mapped."""

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
"""Name of the index that ``tutelage data pack`` writes beside its shards."""
SCHEMA = pa.schema([("name", pa.string()), ("offset", pa.int64()), ("size", pa.int64()), ("label", pa.int64())])
"""Of a sample: its image's name in the tar file, where the image's bytes begin, how many they are, its class number."""

_MEMBER = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
"""Key and extension: a sample is the members of one key. Hidden files match neither."""


@dataclass(frozen=True)
class TarIndex:
    """The samples of some shards, a record batch a shard; those of a file are mapped, not read."""

    sizes: Mapping[str, int]
    """Bytes of each shard, by its path below the folder of the data."""
    samples: list[pa.RecordBatch]

    @classmethod
    def open(cls, path: Path) -> TarIndex:
        """Reads what :meth:`save` wrote; raises :class:`TutelageError` where that is no index."""
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
            if not reader.schema.equals(SCHEMA):
                raise ValueError(f"its columns are {', '.join(reader.schema.names)}")
            sizes = json.loads(reader.schema.metadata[b"shards"])
            samples = [reader.get_batch(number) for number in range(reader.num_record_batches)]
            if len(sizes) != len(samples) or not all(map(_inside, samples, sizes.values())):
                raise ValueError("samples lie outside of their shards")
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise TutelageError(
                f"{path} is not an index of shards ({error}); remove it, and the shards are read anew"
            ) from None
        return cls(sizes, samples)

    def labels(self, shard: int) -> Rows:
        """Returns the labels of a shard's samples, −1 where they have none."""
        return self.samples[shard].column("label").fill_null(-1).to_numpy()

    def save(self, path: Path) -> None:
        schema = SCHEMA.with_metadata({"shards": json.dumps(self.sizes)})
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for batch in self.samples:
                writer.write_batch(batch)


def _inside(samples: pa.RecordBatch, size: int) -> bool:
    """Whether all images lie in a shard of so many bytes; as another's index may say anything."""
    starts, lengths = samples.column("offset").to_numpy(), samples.column("size").to_numpy()
    return bool(((starts >= 0) & (lengths >= 0) & (lengths <= size) & (starts <= size - lengths)).all())


def scan(root: Path, shards: Iterable[Path]) -> TarIndex:
    """Reads the headers of shards below ``root``; raises :class:`TutelageError` for one that is not whole."""
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
            f"{path} is not a whole, uncompressed tar file ({error}): copy it again, or unpack a compressed one to .tar"
        ) from None
    empty = next((key for key, sample in samples.items() if sample.image is None), None)
    if empty is not None:
        raise TutelageError(f"{path}: sample '{empty}' has a label but no image ({', '.join(SUFFIXES)})")
    images = [sample.image for sample in samples.values() if sample.image is not None]
    columns = [
        [image.name for image in images],
        [image.offset_data for image in images],
        [image.size for image in images],
        [sample.label for sample in samples.values()],
    ]
    return pa.record_batch([pa.array(column, field.type) for column, field in zip(columns, SCHEMA)], schema=SCHEMA)


def _check_member(member: tarfile.TarInfo) -> None:
    """Raises for what tarfile lets pass: a size that leads backwards, or that few bytes stand for; a name of bytes."""
    if member.size < 0:
        raise tarfile.ReadError(f"{member.name!r} has the size {member.size}")
    if member.issparse():
        raise tarfile.ReadError(f"{member.name!r} is packed as a sparse file; pack it anew without that")
    try:
        member.name.encode()
    except UnicodeEncodeError:
        raise tarfile.ReadError(f"the name {member.name!r} is not UTF-8") from None


def _take(
    samples: dict[str, _Sample], key: str, extension: str, member: tarfile.TarInfo, tar: tarfile.TarFile, path: Path
) -> None:
    """Files a member under its sample; what is neither image nor label is left alone."""
    if f".{extension}" in SUFFIXES:
        sample = samples.setdefault(key, _Sample())
        if sample.image is not None:
            raise TutelageError(
                f"{path}: sample '{key}' has two images, {sample.image.name} and {member.name}: keep one"
            )
        sample.image = member
    elif extension in ("cls", "json"):
        content = tar.extractfile(member)
        assert content is not None  # it is a regular file
        label = _label(content.read(), extension, f"{path}: the label of sample '{key}'")
        sample = samples.setdefault(key, _Sample())
        sample.label = label if extension == "cls" or sample.label is None else sample.label


def _label(content: bytes, extension: str, what: str) -> int | None:
    """The class number in KEY.cls, or in KEY.json under ``label``; None where the latter has none."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = content[:40].decode("utf-8", "replace").strip()
    if extension == "json":
        value = value.get("label") if isinstance(value, dict) else None
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not -1 <= value < 2**31):
        raise TutelageError(f"{what} is {value!r}, not a class number (0, 1, …; -1 is unlabelled)")
    return value


def _check_end(tar: tarfile.TarFile) -> None:
    """Raises where the headers end before the file does: tarfile takes a damaged one for the end."""
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"it is damaged at byte {tar.offset:,}")
