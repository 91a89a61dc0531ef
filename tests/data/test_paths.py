from __future__ import annotations

import io
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import torch.multiprocessing  # noqa: F401  (registers how tensors are sent to processes)

from tutelage.data.sources.image_files import FileImages


def test_workers_share_the_paths_instead_of_copying_them(tmp_path: Path) -> None:
    names = [tmp_path / f"a class with a long name, äöü 类/{number:06d}.jpg" for number in range(10_000)]
    images = FileImages(names, [0] * len(names))
    assert images.place(0) == str(names[0]) and images.place(9_999) == str(names[-1])
    assert images._paths._bytes.nbytes == sum(len(str(name).encode()) for name in names)
    sent = io.BytesIO()
    ForkingPickler(sent).dump(images._paths)  # what a spawned worker is sent
    assert len(sent.getvalue()) < 2_000
