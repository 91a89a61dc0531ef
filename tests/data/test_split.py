from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from tutelage import train
from tutelage.data import DataSettings, ImageData, TrainLoader, open_data
from tutelage.errors import TutelageError


def rows(data: ImageData) -> tuple[set[int], set[int]]:
    assert data.validation is not None
    return set(data.train.rows.tolist()), set(data.validation.rows.tolist())


def test_digits_open() -> None:
    data = open_data(DataSettings(name="digits"))
    assert data.size == (16, 16) and data.classes == tuple("0123456789")
    assert data.validation is not None and data.test is not None
    assert len(data.train) + len(data.validation) + len(data.test) == 1797
    assert 355 <= len(data.test) <= 364 and 0.09 < len(data.validation) / (1797 - len(data.test)) < 0.11
    pixels = data.train.samples.images  # type: ignore[attr-defined]
    assert pixels.max() == 255 and np.array_equal(pixels[:, :, ::2, ::2], pixels[:, :, 1::2, 1::2])
    assert data.mean == pytest.approx([pixels.mean() / 255] * 3, abs=5e-3)
    assert data.views.padding == 1 and not data.views.flip


def test_carve_is_stratified_disjoint_and_deterministic(real_data: Path) -> None:
    name = str(real_data / "cifar10-jpeg")
    data = open_data(DataSettings(name=name))
    train, validation = rows(data)
    assert not train & validation and train | validation == set(range(50_000))
    assert data.validation is not None and data.test is not None and len(data.test) == 10_000
    assert data.validation.labels.bincount().tolist() == [500] * 10
    assert data.held_out == sorted(validation)
    assert rows(open_data(DataSettings(name=name))) == (train, validation)
    other = rows(open_data(DataSettings(name=name, split_seed=1)))[1]
    assert len(other) == 5000 and len(other & validation) < 800  # 500 expected of independent choices
    assert data.classes[:2] == ("airplane", "automobile") and data.size == (32, 32)
    assert data.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=5e-4)
    assert data.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=3e-3)


def test_no_validation_where_there_is_a_test_split() -> None:
    data = open_data(DataSettings(name="digits", validation=0))
    assert data.validation is None and data.held_out == [] and len(data.train) > 1400


def test_fraction_is_balanced_nested_and_leaves_the_validation_alone(real_data: Path) -> None:
    name = str(real_data / "cifar10-jpeg")
    whole, tenth, half = (open_data(DataSettings(name=name, fraction=part)) for part in (1.0, 0.1, 0.5))
    assert tenth.train.labels.bincount().tolist() == [450] * 10
    assert rows(tenth)[0] < rows(half)[0] < rows(whole)[0]
    assert rows(tenth)[1] == rows(whole)[1]
    assert tenth.fingerprint == whole.fingerprint  # an index means the same image


def test_every_class_keeps_an_image_in_train(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"": {"many": 20, "two": 2, "one": 1}})
    data = open_data(DataSettings(name=str(root), validation=0.1))
    assert data.validation is not None
    names = [data.classes[label] for label in data.train.labels]
    assert Counter(names) == {"many": 18, "two": 1, "one": 1}
    assert sorted(data.classes[label] for label in data.validation.labels) == ["many", "many", "two"]
    few = open_data(DataSettings(name=str(root), validation=0.1, fraction=0.01))
    assert Counter(data.classes[label] for label in few.train.labels) == {"many": 1, "two": 1, "one": 1}


def test_a_validation_that_empties_a_class_is_an_error(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"": {"many": 20, "few": 3}})
    with pytest.raises(TutelageError, match=r"data.validation=0.9 holds out all 3 images of class 'few'"):
        open_data(DataSettings(name=str(root), validation=0.9))


def test_nothing_to_measure_on_is_an_error(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"": {"a": 3, "b": 3}})
    with pytest.raises(TutelageError, match=r"data.validation=0: pictures has no validation or test split"):
        train(data={"name": str(root), "validation": 0}, model="resnet8", out=root / "run")
    assert open_data(DataSettings(name=str(root), validation=0)).headline[0] == "all"


@pytest.mark.parametrize(
    "values, message",
    [
        ({"fraction": 0}, "fraction"),
        ({"fraction": 1.5}, "fraction"),
        ({"labelled": 0}, "labelled"),
        ({"validation": 1}, "validation"),
        ({"scale": (0.5, 0.2)}, "minimum <= maximum"),
        ({"fractoin": 0.5}, "fractoin"),
    ],
)
def test_settings_out_of_range_are_errors(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataSettings(name="digits", **values)  # type: ignore[arg-type]


def test_labels_of_a_split() -> None:
    data = open_data(DataSettings(name="digits"))
    assert data.train.labels.dtype == torch.int64 and len(data.train.labels) == len(data.train)


def test_unlabelled_images_stay_and_labels_are_balanced_and_nested() -> None:
    whole, tenth, half = (open_data(DataSettings(name="digits", labelled=share)) for share in (1.0, 0.1, 0.5))
    assert rows(tenth) == rows(half) == rows(whole)
    assert tenth.fingerprint == whole.fingerprint  # an index means the same image
    counts = tenth.train.labels[tenth.train.labels >= 0].bincount()
    assert counts.min() >= 12 and counts.max() <= 14
    kept = {share: data.train.labels >= 0 for share, data in (("tenth", tenth), ("half", half))}
    assert (kept["half"] | ~kept["tenth"]).all() and kept["half"].sum() > 4 * kept["tenth"].sum()
    for data, known in ((tenth, kept["tenth"]), (half, kept["half"])):
        assert torch.equal(data.train.labels[known], whole.train.labels[known])
        assert data.validation is not None and (data.validation.labels >= 0).all()
    other = open_data(DataSettings(name="digits", labelled=0.1, split_seed=1, validation=0))
    same = open_data(DataSettings(name="digits", labelled=0.1, validation=0))
    assert not torch.equal(other.train.labels, same.train.labels)


def test_every_class_keeps_a_label(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"train": {"many": 20, "one": 1}, "val": {"many": 2, "one": 2}})
    data = open_data(DataSettings(name=str(root), labelled=0.01))
    assert sorted(data.train.labels.tolist()) == [-1] * 19 + [0, 1]
    loaded = next(TrainLoader(data.train, 21, seed=0).epoch(0))
    assert sorted(loaded.labels.tolist()) == sorted(data.train.labels.tolist())


def test_without_labels_none_can_be_hidden(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"train": {"": 10}, "val": {"": 2}})
    with pytest.raises(TutelageError, match=r"data.labelled=0.5: .* have no labels; remove data.labelled"):
        open_data(DataSettings(name=str(root), labelled=0.5))
