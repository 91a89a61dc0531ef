"""Folders as people have them: system folders inside, splits under many names, folders around it all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from data.pictures import picture
from tutelage.data import DataSettings, ImageData, open_data
from tutelage.data.sources import duplicates
from tutelage.data.visible_files import list_images, subfolders
from tutelage.errors import TutelageError

pytestmark = pytest.mark.filterwarnings("ignore:.*(the only folder|ignored|are also in train)")
CLASSES = ("cat", "dog")
SPLITS = {"val": "validation", "test": "test"}


def put(folder: Path, count: int = 4, suffix: str = "png") -> None:
    for seed, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            picture(10 * seed + i, 12, 10).save(folder / name / f"{i}.{suffix}")


def opened(root: Path) -> ImageData:
    return open_data(DataSettings(name=str(root), validation=0.25))


LAYOUTS = {
    "Training, Testing": ("Training", "Testing"),
    "seg_train/seg_train": ("seg_train/seg_train", "seg_test/seg_test"),
    "training_set": ("training_set/training_set", "test_set/test_set"),
    "a folder around it all": ("zipped/flowers/train", "zipped/flowers/test"),
    "a common name": ("asl_alphabet_train/asl_alphabet_train", "asl_alphabet_test/asl_alphabet_test"),
    "joined words": ("TrainImages", "testset"),
    "capitals": ("TRAIN", "Test"),
    "a folder for images": ("train/images", "test/images"),
}


@pytest.mark.parametrize("train, test", LAYOUTS.values(), ids=LAYOUTS)
def test_splits_whatever_their_names(tmp_path: Path, cache: Path, train: str, test: str) -> None:
    root = tmp_path / "set"
    put(root / train)
    put(root / test, 2)
    (root / "__MACOSX" / "train" / "cat").mkdir(parents=True)
    data = opened(root)
    assert data.classes == CLASSES and data.test is not None
    assert (len(data.train), len(data.test)) == (6, 4)


@pytest.mark.parametrize("name", ["val", "Valid", "validation", "dev", "Validation_Set"])
def test_validation_under_any_of_its_names(tmp_path: Path, cache: Path, name: str) -> None:
    put(tmp_path / "set" / "Train")
    put(tmp_path / "set" / name, 2)
    data = opened(tmp_path / "set")
    assert data.validation is not None and (len(data.train), len(data.validation)) == (8, 4)


def test_an_only_folder_is_entered_and_reported(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set" / "flowers")
    with pytest.warns(UserWarning, match="read .*set/flowers, the only folder in .*set"):
        assert opened(tmp_path / "set").classes == CLASSES


def test_an_unlabelled_test_split_in_a_folder_of_its_name(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set" / "train")
    (tmp_path / "set" / "test" / "test").mkdir(parents=True)
    picture(0, 12, 10).save(tmp_path / "set" / "test" / "test" / "0.png")
    data = opened(tmp_path / "set")
    assert data.test is None and data.classes == CLASSES


def test_classes_that_hold_the_same_folders_are_refused(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set" / "site_a")
    put(tmp_path / "set" / "site_b")
    with pytest.raises(
        TutelageError, match="it is unclear which folders are the classes, because site_a, site_b all contain cat, dog"
    ):
        opened(tmp_path / "set")


def test_images_deeper_in_a_class_are_still_its_own(tmp_path: Path, cache: Path) -> None:
    for name in CLASSES:
        put(tmp_path / "set" / name)
        for inner in CLASSES:
            (tmp_path / "set" / name / inner).rename(tmp_path / "set" / name / f"{name} {inner}")
    assert opened(tmp_path / "set").classes == CLASSES


def test_a_class_that_is_called_like_a_split_is_refused(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set")
    (tmp_path / "set" / "cat").rename(tmp_path / "set" / "train")
    with pytest.raises(TutelageError, match="train may be a split or a class, next to dog"):
        opened(tmp_path / "set")
    (tmp_path / "set" / "train").rename(tmp_path / "set" / "test_tube")
    assert opened(tmp_path / "set").classes == ("dog", "test_tube")


def test_folders_beside_the_splits_are_mentioned(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set" / "train")
    put(tmp_path / "set" / "pred")
    with pytest.warns(UserWarning, match="ignored pred in .*set, which are not named train, val or test"):
        opened(tmp_path / "set")


@pytest.mark.parametrize("name", [".ipynb_checkpoints", "@eaDir", "__MACOSX", "#recycle", ".thumbnails/deep"])
def test_hidden_and_system_folders_are_skipped_at_every_depth(tmp_path: Path, cache: Path, name: str) -> None:
    put(tmp_path / "set")
    before = opened(tmp_path / "set")
    for place in ("", "cat", "cat/deeper"):
        folder = tmp_path / "set" / place / name
        folder.mkdir(parents=True)
        picture(7, 12, 10).save(folder / "0.png")
        (folder / "train-0.tar").touch()
        (folder / "train-0.parquet").touch()
    data = opened(tmp_path / "set")
    assert data.classes == CLASSES and len(data.train) == len(before.train)
    assert len(list_images(tmp_path / "set").images) == 8


def test_usual_suffixes_are_read_and_others_counted(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set")
    image = picture(0, 12, 10)
    for name, format in {
        "a.jfif": "JPEG",
        "b.JPE": "JPEG",
        "c.avif": "AVIF",
        "d.WebP": "WEBP",
        "e.tif": "TIFF",
    }.items():
        image.save(tmp_path / "set" / "cat" / name, format)
    for name in ("x.heic", "y.heic", "z"):
        (tmp_path / "set" / "dog" / name).touch()
    with pytest.warns(UserWarning, match=r"skipped 3 files .*: 3 of 'dog' \(2 .heic, 1 without suffix\)"):
        data = opened(tmp_path / "set")
    assert (data.train.samples.labels == 0).sum() == 9


@contextmanager
def without_privileges() -> Iterator[None]:
    """Gives up root's right to read everything."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_cannot_be_read_is_not_an_empty_one() -> None:
    with TemporaryDirectory() as place:  # unlike tmp_path, in a folder that others can enter
        Path(place).chmod(0o755)
        put(Path(place) / "set")
        closed = Path(place) / "set" / "cat" / "closed"
        closed.mkdir(mode=0)
        for find in (lambda: list_images(Path(place)), lambda: subfolders(closed)):
            with (
                without_privileges(),
                pytest.raises(TutelageError, match="cat/closed cannot be read .Permission denied"),
            ):
                find()


def test_links_to_themselves_are_not_folders(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set")
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set" / "loop")
    assert opened(tmp_path / "set").classes == CLASSES


def test_a_copy_of_the_class_folders_among_them_is_refused(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set" / "train")
    put(tmp_path / "set" / "train" / "all")
    with pytest.raises(TutelageError, match="all/cat lies in the class folder 'all', and 'cat' is also a class"):
        opened(tmp_path / "set")


def test_splits_within_a_split_are_not_its_classes(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set" / "train" / "train")
    put(tmp_path / "set" / "train" / "test")
    with pytest.raises(TutelageError, match="set/train holds test and train, which are splits, not classes"):
        opened(tmp_path / "set")
    assert opened(tmp_path / "set" / "train").classes == CLASSES


def test_splits_within_a_class_are_not_mixed(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set")
    for place, split in enumerate(("train", "test")):
        (tmp_path / "set" / "cat" / split).mkdir()
        picture(90 + place, 12, 10).save(tmp_path / "set" / "cat" / split / "0.png")
    with pytest.raises(TutelageError, match="set/cat holds test and train, which are splits, not classes"):
        opened(tmp_path / "set")


def test_data_sets_side_by_side_are_not_classes(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set" / "a" / "train")
    put(tmp_path / "set" / "b" / "train")
    with pytest.raises(TutelageError, match="which folders are the classes, because a/train, b/train all contain cat"):
        opened(tmp_path / "set")


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_without_labels_is_mentioned(tmp_path: Path, cache: Path, split: str) -> None:
    put(tmp_path / "set" / "train")
    (tmp_path / "set" / split).mkdir()
    for place in range(9):
        picture(90 + place, 12, 10).save(tmp_path / "set" / split / f"{place}.png")
    with pytest.warns(UserWarning, match=f"{SPLITS[split]} has no labels, so its images are not used"):
        data = opened(tmp_path / "set")
    assert data.validation is not None and (len(data.validation), data.test) == (2, None)


def test_images_beside_the_folders_are_counted(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set" / "train")
    for place in ("set", "set/train"):
        picture(50, 12, 10).save(tmp_path / place / "loose.png")
    with pytest.warns(UserWarning, match="ignored 1 images directly in .*train; move them") as found:
        opened(tmp_path / "set")
    assert sum("directly in" in str(warning.message) for warning in found) == 2


def test_tables_that_are_not_read_are_mentioned_and_that_of_train_is_proposed(tmp_path: Path, cache: Path) -> None:
    put(tmp_path / "set" / "train")
    for name in ("test.csv", "train.csv", "train/metadata.jsonl"):
        (tmp_path / "set" / name).write_text("")
    with pytest.warns(UserWarning, match="ignored train.csv, test.csv; .* set data=.*train.csv") as found:
        opened(tmp_path / "set")
    assert any("ignored train/metadata.jsonl" in str(warning.message) for warning in found)


@pytest.mark.parametrize("spelling", ["caf\u00e9", "cafe\u0301", "caf\u00e9 "])
def test_a_class_is_the_same_in_all_splits_however_its_name_is_spelled(
    tmp_path: Path, cache: Path, spelling: str
) -> None:
    for split, name in (("train", "caf\u00e9"), ("test", spelling)):
        put(tmp_path / "set" / split)
        (tmp_path / "set" / split / "cat").rename(tmp_path / "set" / split / name)
    data = opened(tmp_path / "set")
    assert data.classes == ("caf\u00e9", "dog") and data.test is not None
    assert data.test.labels.tolist() == [0] * 4 + [1] * 4


@pytest.mark.parametrize("how", ["copy", "hard link", "link", "link to the folder"])
def test_held_out_images_that_are_training_images_are_reported(tmp_path: Path, cache: Path, how: str) -> None:
    root = tmp_path / "set"
    put(root / "train")
    if how == "link to the folder":
        (root / "test").symlink_to(root / "train")
    for name in CLASSES if how != "link to the folder" else ():
        (root / "test" / name).mkdir(parents=True)
        before, after = root / "train" / name / "1.png", root / "test" / name / "another name.png"
        {"copy": shutil.copy, "hard link": os.link, "link": os.symlink}[how](before, after)
        picture(100, 12, 10).save(root / "test" / name / "0.png")  # another image of a name in train
        shutil.copy(root / "test" / name / "0.png", root / "test" / name / "1.png")  # twice in test, but not in train
    count = "8 of 8" if how == "link to the folder" else "2 of 6"
    with pytest.warns(UserWarning, match=f"{count} test images are also in train"):
        open_data(DataSettings(name=str(root), validation=0))


def test_images_that_are_split_off_from_their_copies_are_reported(tmp_path: Path, cache: Path) -> None:
    for name in CLASSES:
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(8):
            picture(CLASSES.index(name), 12, 10).save(tmp_path / "set" / name / f"{i}.png")
    with pytest.warns(UserWarning, match="4 of 4 validation images are also in train"):
        opened(tmp_path / "set")


def test_only_some_images_of_large_splits_are_compared(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "set" / "train", 9)
    shutil.copytree(tmp_path / "set" / "train", tmp_path / "set" / "test")
    monkeypatch.setattr(duplicates, "CHECKED", 5)
    with pytest.warns(UserWarning, match="5 of 5 images that were checked, of 18 test images, are also in train"):
        open_data(DataSettings(name=str(tmp_path / "set"), validation=0))
