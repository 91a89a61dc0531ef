"""Links that lead nowhere, in a circle or upwards, and files that are none: nothing hangs, and nothing counts twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hostile.conftest import Fail
from hostile.pictures import picture
from tutelage import TutelageError
from tutelage.data import DataSettings, open_data
from tutelage.data.sources.image_folder import read_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of four images."""
    for name in ("ant", "bee"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(4):
            picture().save(tmp_path / "data" / name / f"{number}.png")
    return tmp_path / "data"


CIRCLES: dict[str, Callable[[Path], None]] = {
    "to the class itself": lambda root: (root / "ant" / "again").symlink_to(root / "ant"),
    "to the data": lambda root: (root / "ant" / "up").symlink_to(root),
    "to the data, as a class": lambda root: (root / "all").symlink_to(root),
    "to the folder above the data": lambda root: (root / "bee" / "up").symlink_to(root.parent),
    "to the disk's root": lambda root: (root / "bee" / "up").symlink_to(os.path.relpath(root.parent, root / "bee")),
    "to another class": lambda root: (root / "ant" / "more").symlink_to(root / "bee"),
    "of two classes to one folder": lambda root: (root / "wasp").symlink_to(root / "bee"),
    "to each other": lambda root: _each_other(root),
}


def _each_other(root: Path) -> None:
    for one, other in (("x", "y"), ("y", "x")):
        (root / "ant" / one).mkdir()
        (root / "ant" / one / "to").symlink_to(root / "ant" / other)


@pytest.mark.parametrize("name", CIRCLES)
def test_a_folder_met_twice_is_refused(name: str, root: Path, fail: Fail) -> None:
    CIRCLES[name](root)
    message = fail("train", f"data={root}", "model=resnet8")
    assert "are the same folder; remove the link" in message and str(root) in message


def test_links_to_folders_elsewhere_are_followed(root: Path, tmp_path: Path) -> None:
    (root / "bee").rename(tmp_path / "elsewhere")
    (root / "bee").symlink_to(tmp_path / "elsewhere")
    assert len(read_folder(root).splits["train"].labels) == 8


NOWHERE: dict[str, Callable[[Path], None]] = {
    "to nothing": lambda path: path.symlink_to("gone.png"),
    "to itself": lambda path: path.symlink_to(path),
    "to a link to nothing": lambda path: (path.with_suffix(".link").symlink_to("gone"), path.symlink_to("5.link"))[0],
}


@pytest.mark.parametrize("name", NOWHERE)
def test_a_file_that_is_a_link_to_nowhere_is_an_unreadable_image(name: str, root: Path) -> None:
    NOWHERE[name](root / "ant" / "5.png")
    with pytest.raises(TutelageError, match=r"ant/5\.png is not a readable image .*data.skip_broken=true"):
        open_data(DataSettings(name=str(root)))
    with pytest.warns(UserWarning, match="skipped 1 unreadable"):
        assert len(open_data(DataSettings(name=str(root), skip_broken=True)).broken) == 1


@pytest.mark.parametrize("name", ["nothing", "itself"])
def test_a_class_that_is_a_link_to_nowhere_is_none(name: str, root: Path) -> None:
    (root / "wasp").symlink_to(root / ("gone" if name == "nothing" else "wasp"))
    assert read_folder(root).classes == ("ant", "bee")


NO_FILES: dict[str, Callable[[Path], None]] = {
    "pipe": lambda path: os.mkfifo(path),
    "device that never ends": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("name", NO_FILES)
def test_what_is_no_file_is_refused_and_not_waited_for(name: str, root: Path, fail: Fail) -> None:
    NO_FILES[name](root / "ant" / "5.png")
    assert "ant/5.png is not a regular file; remove it" in fail("train", f"data={root}", "model=resnet8")


def test_a_folder_with_the_name_of_an_image_is_a_folder(root: Path) -> None:
    (root / "ant" / "5.png").mkdir()
    assert len(read_folder(root).splits["train"].labels) == 8
