from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from data.pictures import encode, picture
from tutelage.data import DataSettings, EvalLoader, TrainLoader, open_data
from tutelage.data.sources.parquet import read_parquet
from tutelage.errors import TutelageError

SMALL = [encode(picture(seed, 16, 16)) for seed in range(12)]
LARGE = [encode(picture(seed, 70 + seed, 90), "JPEG") for seed in range(12)]
LABELS = [0, 1, 2] * 4
NAMES = ["ant", "bee", "cow"]


def test_splits_classes_and_pixels(make_parquet) -> None:  # type: ignore[no-untyped-def]
    files = {
        "train-00000-of-00002": (SMALL[:6], LABELS[:6]),
        "train-00001-of-00002": (SMALL[6:], LABELS[6:]),
        "validation-00000-of-00001": (SMALL[:3], LABELS[:3]),
        "test-00000-of-00001": (SMALL[3:6], LABELS[3:6]),
    }
    data = open_data(DataSettings(name=str(make_parquet(files, NAMES))))
    assert data.classes == tuple(NAMES) and data.name == "rows" and data.size == (16, 16)
    assert data.validation is not None and data.test is not None
    assert [len(split) for split in (data.train, data.validation, data.test)] == [12, 3, 3]
    assert data.train.labels.tolist() == LABELS and data.held_out == []
    images = torch.cat([batch.images for batch in EvalLoader(data.train, 5)])
    for seed, image in enumerate(images):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), np.array(picture(seed, 16, 16)))
    pixels = images.double() / 255
    assert data.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-4)
    assert data.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), abs=1e-4)


@pytest.mark.parametrize("workers", [0, 2])
def test_larger_images(make_parquet, workers: int) -> None:  # type: ignore[no-untyped-def]
    root = make_parquet({"train-0": (LARGE, LABELS), "validation-0": (LARGE[:4], LABELS[:4])}, NAMES)
    data = open_data(DataSettings(name=str(root), size=48, workers=workers))
    batches = list(TrainLoader(data.train, 4, 0).epoch(0))
    assert [batch.images.shape for batch in batches] == [(4, 3, 48, 48)] * 3
    assert sorted(torch.cat([batch.index for batch in batches]).tolist()) == list(range(12))
    assert data.mean == (0.485, 0.456, 0.406) and data.views.padding == 0
    images = pickle.loads(pickle.dumps(read_parquet(root).splits["train"]))
    assert images.fetch(7) == LARGE[7] and images.fetch(0) == LARGE[0]


def test_columns_of_cifar100_and_classes_without_names(make_parquet) -> None:  # type: ignore[no-untyped-def]
    data = open_data(DataSettings(name=str(make_parquet({"train": (SMALL, LABELS)}, columns=("img", "fine_label")))))
    assert data.classes == ("0", "1", "2") and data.validation is not None
    assert sorted(data.validation.labels.tolist()) == [0, 1, 2]


def test_unlabelled_rows_train_and_are_not_measured_on(make_parquet) -> None:  # type: ignore[no-untyped-def]
    files = {"train-0": (SMALL, [-1, *LABELS[1:]]), "test-0": (SMALL[:2], [-1, -1])}
    data = open_data(DataSettings(name=str(make_parquet(files, NAMES))))
    assert data.test is None and data.validation is not None
    assert -1 in data.train.labels and -1 not in data.validation.labels


@pytest.mark.parametrize(
    "files, columns, message",
    [
        ({"test-0": (SMALL, LABELS)}, ("image", "label"), "none named train-"),
        ({"train-0": (SMALL, LABELS)}, ("photo", "label"), r"no column 'image' \(its columns: photo, label\)"),
        ({"train-0": (SMALL, LABELS)}, ("image", "kind"), r"no column 'label' \(its columns: image, kind\)"),
        (
            {"train-0": (SMALL, [3, *LABELS[1:]])},
            ("image", "label"),
            "train-0.parquet, row 0: label 3 is not one of the 3",
        ),
        (
            {"train-0": (SMALL, LABELS), "train-1": (SMALL, [-2, *LABELS[1:]])},
            ("image", "label"),
            "train-1.parquet, row 0",
        ),
        (
            {"train-0": ([*SMALL[:9], SMALL[9][:50], *SMALL[10:]], LABELS)},
            ("image", "label"),
            "train-0.parquet, row 9 is not",
        ),
    ],
)
def test_errors(make_parquet, files, columns, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TutelageError, match=message):
        open_data(DataSettings(name=str(make_parquet(files, NAMES, columns))))


def test_a_file_that_is_no_parquet(make_parquet) -> None:  # type: ignore[no-untyped-def]
    root = make_parquet({"train-0": (SMALL, LABELS)}, NAMES)
    (root / "train-0.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(TutelageError, match=r"train-0.parquet is not a readable parquet file"):
        open_data(DataSettings(name=str(root)))


def test_images_of_several_sizes_are_not_kept_decoded(make_parquet, cache: Path) -> None:  # type: ignore[no-untyped-def]
    root = make_parquet({"train-0": ([*SMALL[:-1], encode(picture(0, 16, 20))], LABELS)}, NAMES)
    assert open_data(DataSettings(name=str(root))).size == (224, 224)
    assert {folder.name for folder in cache.iterdir()} == {"locks", "parquet"}


def test_imagenette(real_data: Path) -> None:
    data = open_data(DataSettings(name=str(real_data / "imagenette"), size=64, workers=2))
    assert data.validation is not None and data.test is None
    assert (len(data.train), len(data.validation)) == (9469, 3925) and data.classes[0] == "tench"
    batch = next(TrainLoader(data.train, 64, 0).epoch(0))
    assert batch.images.shape == (64, 3, 64, 64) and batch.labels.unique().numel() > 5
