"""Folders and files of any name are read as they are; what cannot be told apart, or recorded, is refused."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest

from hostile.conftest import Fail
from hostile.names import NAMES, SHOWN
from hostile.pictures import picture
from tutelage import TutelageError, train
from tutelage.config import TrainSettings, load
from tutelage.config.words import words
from tutelage.data import DataSettings, EvalLoader, open_data
from tutelage.data.sources.image_folder import read_folder
from tutelage.training import load_run


def fill(folder: Path, count: int = 2) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        picture().save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("key", SHOWN)
def test_a_class_folder_of_that_name_is_a_class(key: str, tmp_path: Path) -> None:
    fill(tmp_path / "data" / SHOWN[key])
    fill(tmp_path / "data" / "other")
    source = read_folder(tmp_path / "data")
    assert source.classes == tuple(sorted((SHOWN[key], "other")))
    assert source.splits["train"].place(2 * source.classes.index(SHOWN[key])) == str(
        tmp_path / "data" / SHOWN[key] / "0.png"
    )


def test_hidden_folders_are_no_classes(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "cat")
    for name in ("...", ".git", ".cache"):
        fill(tmp_path / "data" / name)
    assert read_folder(tmp_path / "data").classes == ("cat",)


def test_files_of_every_name_are_read(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for name in NAMES.values():
            picture().save(tmp_path / "data" / label / f"{name[:200]}.png", "PNG")
    data = open_data(DataSettings(name=str(tmp_path / "data"), validation=0.2))
    assert data.validation is not None
    visible = 2 * sum(not name.startswith(".") for name in NAMES.values())
    assert len(data.train) + len(data.validation) == visible
    assert sum(len(batch.labels) for batch in EvalLoader(data.train, 8)) == len(data.train)


@pytest.mark.parametrize("key", [key for key in SHOWN if SHOWN[key].strip() == SHOWN[key]])
def test_a_data_folder_of_that_name_comes_back_from_words_and_from_yaml(key: str, tmp_path: Path) -> None:
    given = {"data": {"name": SHOWN[key]}, "model": "resnet8", "out": Path("runs") / SHOWN[key]}
    settings = load(TrainSettings, given)
    assert settings.data.name == SHOWN[key]
    assert load(TrainSettings, *words(settings)) == settings


def test_a_run_records_the_worst_names_whole(tmp_path: Path) -> None:
    hostile = sorted(SHOWN.values())[:12]
    for name in hostile:
        fill(tmp_path / "da'ta =\n<b>" / name, 3)
    train(
        data={"name": str(tmp_path / "da'ta =\n<b>"), "validation": 0.34},
        model="resnet8",
        epochs=1,
        precision="fp32",
        compile="off",
        device="cpu",
        out=tmp_path / "run $(x)",
    )
    run = tmp_path / "run $(x)"
    assert json.loads((run / "classes.json").read_text("utf-8")) == hostile
    assert load_run(run).data.name == str(tmp_path / "da'ta =\n<b>")
    assert all(Path(place).is_file() for place in json.loads((run / "split.json").read_text("utf-8")))
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("where", ["file", "class folder"])
def test_names_that_are_not_utf_8_are_refused(where: str, tmp_path: Path, fail: Fail) -> None:
    fill(tmp_path / "data" / "cat")
    folder, name = (b"cat", b"\xff\xfe.png") if where == "file" else (b"c\xe9", b"0.png")
    place = os.path.join(os.fsencode(tmp_path / "data"), folder)
    os.makedirs(place, exist_ok=True)
    picture().save(tmp_path / "image.png")
    os.rename(tmp_path / "image.png", os.path.join(place, name))
    message = fail("train", "data=data", "model=resnet8")
    assert "the name is not valid UTF-8" in message and "rename it" in message and "\\x" in message


def test_a_data_folder_whose_name_is_not_utf_8_is_refused(tmp_path: Path, fail: Fail) -> None:
    os.makedirs(os.path.join(os.fsencode(tmp_path), b"d\xe9ta", b"cat"))
    assert "data" in fail("train", "data=" + os.fsdecode(b"d\xe9ta"), "model=resnet8")


def test_two_spellings_of_one_class_are_refused(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        fill(tmp_path / "data" / unicodedata.normalize(form, "café"))  # type: ignore[arg-type]
    with pytest.raises(TutelageError, match="classes 0 and 1 are both called 'café'; rename one"):
        read_folder(tmp_path / "data")
    with pytest.raises(TutelageError, match="both called"):
        fill(tmp_path / "other" / "cat")
        fill(tmp_path / "other" / "cat ")
        read_folder(tmp_path / "other")


def test_capitals_tell_classes_apart(tmp_path: Path) -> None:
    """As in a data set of letters."""
    for name in ("A", "a"):
        fill(tmp_path / "data" / name)
    assert read_folder(tmp_path / "data").classes == ("A", "a")
