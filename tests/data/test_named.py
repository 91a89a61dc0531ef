from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torchvision.datasets

from data.pictures import encode, picture
from tutelage.data import DataSettings, list_datasets, open_data
from tutelage.data.sources.named import DATASETS
from tutelage.errors import TutelageError


def test_names() -> None:
    assert list_datasets() == ["cifar10", "cifar100", "digits", "fashion-mnist", "imagenet-1k", "imagenette"]


def test_the_digits_are_those_of_version_0_1() -> None:
    """What is cached for them, and what was measured on them, stays valid."""
    source = DATASETS["digits"]()
    assert source.fingerprint == "e23f942bdfd65743495e4ebc8ca760135acdf6f79f47e6e49799b20b2c2f0404"
    assert source.classes == tuple("0123456789")
    hashes = {name: _sha256(split.images, split.labels) for name, split in source.splits.items()}
    assert hashes == {
        "train": "02056ab75d6f9569a5d27a4ece6d09b053432282822b302df500f49bfb71f76c",
        "test": "21067131049393abaf03f3e2f6bd076c38aefc824162a9244453d0e324930da4",
    }


def _sha256(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_cifar10_in_torchvisions_layout(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real layout with few images in it, and checksums to match."""
    kind, folder = torchvision.datasets.CIFAR10, tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (60, 3072), dtype=np.uint8)
    for place, (name, _) in enumerate([*kind.train_list, *kind.test_list]):
        rows = slice(10 * place, 10 * place + 10)
        (folder / name).write_bytes(pickle.dumps({"data": pixels[rows], "labels": list(range(10))}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"class {number}" for number in range(10)]}))
    monkeypatch.setattr(kind, "_check_integrity", lambda self: True)
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": None})
    monkeypatch.setenv("TUTELAGE_DATA", str(tmp_path))
    for _ in range(2):
        data = open_data(DataSettings(name="cifar10"))
        assert data.classes[3] == "class 3" and data.size == (32, 32) and data.test is not None
        assert len(data.train) + len(data.held_out) == 50 and len(data.test) == 10
        image = data.test.samples.images[4]  # type: ignore[attr-defined]
        assert np.array_equal(image.ravel(), pixels[54])
        assert data.mean == (0.4914, 0.4822, 0.4465) and data.views.padding == 4
    assert open_data(DataSettings(name="cifar10", size=16)).size == (16, 16)


def test_a_folder_of_that_name_under_the_data_root_is_taken(make_parquet, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    images = [encode(picture(seed, 20, 20)) for seed in range(8)]
    root = make_parquet({"train-0": (images, [0, 1] * 4)}, ["x", "y"])
    monkeypatch.setenv("TUTELAGE_DATA", str(root.parent))
    root.rename(root.parent / "imagenette")
    assert open_data(DataSettings(name="imagenette")).classes == ("x", "y")


@pytest.mark.parametrize("name", ["cifar100", "imagenette"])
def test_offline_the_error_names_both_ways_out(name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    monkeypatch.setattr(torchvision.datasets.Imagenette, "__init__", fail)
    with pytest.raises(
        TutelageError, match=rf"data={name} is not on this machine .*no route to host.*connection.*folder"
    ):
        open_data(DataSettings(name=name))
