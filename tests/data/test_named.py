from __future__ import annotations

import pickle
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torchvision.datasets

from data.pictures import encode, picture
from tutelage.data import DataSettings, list_datasets, open_data
from tutelage.errors import TutelageError


def test_names() -> None:
    assert list_datasets() == ["cifar10", "cifar100", "digits", "fashion-mnist", "imagenet-1k", "imagenette"]


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
