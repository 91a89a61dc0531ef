from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tutelage.data import Batch, DataSettings, EvalLoader, TrainLoader, open_data
from tutelage.data.sources.image_folder import read_folder
from tutelage.errors import TutelageError

TRAIN = {"cat": 6, "dog": 6}
SOME = {"cat": 2, "dog": 2}


def settings(root: Path, **values: object) -> DataSettings:
    return DataSettings(name=str(root), **{"size": 32, "workers": 0, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "counts, sizes",
    [
        ({"train": TRAIN, "val": SOME}, (12, 4, 0)),
        ({"train": TRAIN, "validation": SOME}, (12, 4, 0)),
        ({"train": TRAIN, "test": SOME}, (10, 2, 4)),
        ({"train": TRAIN, "val": SOME, "test": SOME}, (12, 4, 4)),
        ({"train": TRAIN}, (10, 2, 0)),
        ({"": TRAIN}, (10, 2, 0)),
    ],
)
def test_layouts(make_folder, counts, sizes) -> None:  # type: ignore[no-untyped-def]
    data = open_data(settings(make_folder(counts)))
    splits = (data.train, data.validation, data.test)
    assert tuple(len(split) if split is not None else 0 for split in splits) == sizes
    assert data.classes == ("cat", "dog") and data.name == "pictures"
    if "val" not in counts and "validation" not in counts:
        assert len(data.held_out) == 2 and all(Path(str(path)).is_file() for path in data.held_out)


def test_larger_images_are_cropped_where_decoded_the_same_with_any_number_of_workers(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"train": {"a": 9, "b": 9}, "val": SOME | {"cat": 0, "dog": 0}} | {"val": {"a": 2, "b": 2}})
    torch.randn(300, 300) @ torch.randn(300, 300)  # the parent's threads have run before workers are forked
    seen: list[list[Batch]] = []
    for workers in (0, 2):
        data = open_data(settings(root, workers=workers))
        loader = TrainLoader(data.train, 4, seed=0)
        assert data.validation is not None
        batches = [batch for epoch in (0, 1, 0) for batch in loader.epoch(epoch)]
        seen.append(batches + list(EvalLoader(data.validation, 3)))
    assert len(seen[0]) == 14
    for one, two in zip(*seen):
        assert one.images.shape[1:] == (3, 32, 32) and one.images.dtype == torch.uint8
        assert all(torch.equal(a, b) for a, b in zip(one, two))
    first, second, again = seen[0][:4], seen[0][4:8], seen[0][8:12]
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, again))
    views = {int(index): image for batch in second for index, image in zip(batch.index, batch.images)}
    assert not all(
        torch.equal(views[int(index)], image)
        for batch in first
        for index, image in zip(batch.index, batch.images)
        if int(index) in views
    )


def test_views_of_larger_images_do_not_depend_on_the_seed_of_the_order(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"": {"a": 8, "b": 8}})

    def views(seed: int, **values: object) -> dict[int, torch.Tensor]:
        data = open_data(settings(root, **values))
        batches = TrainLoader(data.train, 14, seed).epoch(0)
        return {int(index): image for batch in batches for index, image in zip(batch.index, batch.images)}

    one, other = views(0), views(1)
    assert all(torch.equal(one[index], other[index]) for index in one)
    reseeded = views(0, view_seed=1)
    assert not any(torch.equal(one[index], reseeded[index]) for index in one)
    half = views(0, fraction=0.5)
    assert len(half) == 8 and all(torch.equal(one[index], half[index]) for index in half)


def test_without_augmentation_training_sees_what_evaluation_sees(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"": TRAIN})
    data = open_data(settings(root, augment=False))
    assert not data.random and open_data(settings(root, flip=False)).random
    trained = {int(batch.index[0]): batch.images for batch in TrainLoader(data.train, 1, 0).epoch(3)}
    evaluated = {int(batch.index[0]): batch.images for batch in EvalLoader(data.train, 1)}
    assert trained.keys() == evaluated.keys()
    assert all(torch.equal(trained[index], evaluated[index]) for index in trained)


def test_size_by_default(make_folder, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    varying = make_folder({"": TRAIN})
    assert open_data(DataSettings(name=str(varying))).size == (224, 224)
    shutil.rmtree(varying)
    assert open_data(DataSettings(name=str(make_folder({"": TRAIN}, sizes=((96, 96),))))).size == (96, 96)


@pytest.mark.parametrize("size, expected", [(None, (24, 20)), (24, (24, 24))])
def test_small_images_are_decoded_once(make_folder, cache: Path, size, expected) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"": TRAIN}, sizes=((24, 20),))
    wanted = settings(root, size=size)
    data = open_data(wanted)
    assert data.size == expected
    kept = sorted((cache / "images").iterdir())
    times = [os.stat(folder / "images.npy").st_mtime_ns for folder in kept]
    again = open_data(wanted)
    assert sorted((cache / "images").iterdir()) == kept
    assert [os.stat(folder / "images.npy").st_mtime_ns for folder in kept] == times
    assert again.fingerprint == data.fingerprint
    images = torch.cat([batch.images for batch in EvalLoader(again.train, 8)])
    if size is None:
        first = np.array(Image.open(sorted((root / "cat").iterdir())[int(data.train.rows[0])]))
        assert np.array_equal(images[0].permute(1, 2, 0).numpy(), first)


def test_a_changed_file_is_decoded_anew(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"": TRAIN}, sizes=((24, 20),))
    before = open_data(settings(root, size=None))
    Image.new("RGB", (20, 24), (9, 9, 9)).save(root / "cat" / "000.png")
    after = open_data(settings(root, size=None))
    assert after.fingerprint != before.fingerprint
    assert (after.train.samples.images[0] == 9).all()  # type: ignore[attr-defined]


def test_one_image_of_another_size_among_small_ones_is_noticed(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"": {"a": 40, "b": 40}}, sizes=((24, 24),))
    Image.new("RGB", (30, 24)).save(root / "a" / "007.png")
    data = open_data(settings(root, size=None))
    assert data.size == (224, 224) and data.views.padding == 0


def test_files_travel_to_spawned_workers(make_folder) -> None:  # type: ignore[no-untyped-def]
    images = read_folder(make_folder({"": TRAIN})).splits["train"]
    assert pickle.loads(pickle.dumps(images)).place(3) == images.place(3)  # type: ignore[union-attr]


def damage(root: Path) -> Path:
    path = root / "dog" / "002.png"
    path.write_bytes(path.read_bytes()[:60])
    return path


@pytest.mark.parametrize("sizes", [((24, 20),), ((48, 80), (90, 60))], ids=["small", "large"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_stops_with_its_name(make_folder, sizes, workers: int) -> None:  # type: ignore[no-untyped-def]
    path = damage(make_folder({"": TRAIN}, sizes=sizes))
    with pytest.raises(TutelageError, match=f"^{path} is not a readable image"):
        data = open_data(settings(path.parents[1], size=None, workers=workers))
        list(EvalLoader(data.train, 4))


@pytest.mark.parametrize("sizes", [((24, 20),), ((48, 80), (90, 60))], ids=["small", "large"])
def test_broken_images_are_left_out_where_asked_for_and_counted(make_folder, sizes) -> None:  # type: ignore[no-untyped-def]
    path = damage(make_folder({"": {"cat": 20, "dog": 20}}, sizes=sizes))
    with pytest.warns(UserWarning, match=r"skipped .*dog/002.png"):
        data = open_data(settings(path.parents[1], size=None, skip_broken=True, validation=0.05))
        seen = [int(index) for batch in EvalLoader(data.train, 4) for index in batch.index]
        trained = list(TrainLoader(data.train, 6, 0).epoch(0))
    assert 22 not in seen and len(data.broken) == 1 and "dog/002.png" in data.broken[0]
    assert all(len(batch.images) == 6 and 22 not in batch.index for batch in trained)


def test_empty_class_folder(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"": TRAIN | {"mouse": 0}})
    (root / "mouse" / "notes.txt").touch()
    with pytest.raises(TutelageError, match=r"class folder .*mouse has no images"):
        open_data(settings(root))


def test_no_class_folders(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(TutelageError, match=r"has no class folders; put images in .*CLASS/IMAGE.jpg"):
        open_data(settings(tmp_path))


def test_classes_unknown_in_train(make_folder) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TutelageError, match=r"val has classes that the training set does not have: 'bird', 'mouse'"):
        open_data(settings(make_folder({"train": TRAIN, "val": SOME | {"mouse": 1, "bird": 1}})))


def test_classes_missing_in_a_split_are_told(make_folder) -> None:  # type: ignore[no-untyped-def]
    with pytest.warns(UserWarning, match="the test split of pictures has no images of dog"):
        open_data(settings(make_folder({"train": TRAIN, "test": {"cat": 2}})))


def test_splits_that_make_no_sense(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"val": SOME, "test": SOME})
    with pytest.raises(TutelageError, match="has test, val but no train"):
        open_data(settings(root))
    shutil.copytree(root / "test", root / "train")
    shutil.copytree(root / "test", root / "validation")
    with pytest.raises(TutelageError, match="has two validation splits: val and validation"):
        open_data(settings(root))


def test_settings_of_the_other_kind_of_images_are_refused(make_folder) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TutelageError, match="data.padding=4 applies to small images"):
        open_data(settings(make_folder({"": TRAIN}), padding=4))
    with pytest.raises(TutelageError, match="data.scale=.* applies to random resized crops"):
        open_data(DataSettings(name="digits", scale=(0.5, 1)))


@pytest.mark.parametrize(
    "name, message",
    [
        ("digit", "data=digit is not a known data set, and there is no such folder; did you mean digits"),
        ("~/no/such/place", "there is no such folder; known names: cifar10, cifar100, digits"),
        (__file__, "is a file, not a folder"),
    ],
)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(TutelageError, match=message):
        open_data(DataSettings(name=name))
