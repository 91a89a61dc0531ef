"""Tar shards for tests."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

Members = list[tuple[str, bytes]]


def write_tar(path: Path, members: Members) -> Path:
    """Writes files of these names and contents, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def samples(images: list[bytes], labels: list[int], suffix: str = "png", first: int = 0) -> Members:
    """Returns members KEY.suffix and KEY.cls of each sample."""
    found: Members = []
    for number, (image, label) in enumerate(zip(images, labels), first):
        found += [(f"{number:04d}.{suffix}", image), (f"{number:04d}.cls", str(label).encode())]
    return found
