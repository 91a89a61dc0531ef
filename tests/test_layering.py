"""Imports run in one direction, between rooms and between the folders of a room, and read no other room's files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tutelage

ROOMS = [
    *("losses", "models", "data", "taps", "connectors", "terms", "methods", "distillation", "config", "recipes"),
    *("runs", "measure", "training", "export", "students", "bench", "study", "report", "cli"),
]
FOLDERS = {
    "models": ["own", "parts", "weights", "libraries"],
    "data": ["stored", "sources", "shards", "views"],
    "distillation": ["cache"],
    "training": ["job", "feeding", "evaluation", "diagnosis", "tuning", "display", "loop"],
    "export": ["formats", "card"],
    "study": ["search"],
    "report": ["material", "page", "sections"],
}
"""The folders of a room, each importing only from those before it; files of the room itself may be on either side."""

BELOW_ALL = {"errors", "paths", "locks", "registry", "console"}
ROOT = Path(tutelage.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path.parent != ROOT)


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Yields what a file imports of the package, inside functions too, as parts: ("training", "job")."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            modules = [node.module or ""]
            if node.module == "tutelage":
                modules = [f"tutelage.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            package, *parts = module.split(".")
            if package == "tutelage":
                yield tuple(parts or ["tutelage"])


def imported_rooms(path: Path) -> set[str]:
    return {room for room, *_ in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_import_climbs(path: Path) -> None:
    room, folder = path.parts[0], path.parts[1]
    assert room in ROOMS, f"{room} is no room of the house"
    if room == "cli":
        return
    allowed = BELOW_ALL | set(ROOMS[: ROOMS.index(room) + 1])
    assert imported_rooms(path) <= allowed
    folders = FOLDERS.get(room, [])
    if folder in folders:
        above = folders[folders.index(folder) + 1 :]
        assert not [parts for parts in imports(path) if parts[0] == room and parts[1:2] and parts[1] in above]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_another_room_is_read_through_its_packages(path: Path) -> None:
    others = [parts for parts in imports(path) if parts[0] != path.parts[0] and parts[0] in ROOMS]
    assert [parts for parts in others if not ROOT.joinpath(*parts).is_dir()] == []


def test_every_folder_has_its_place() -> None:
    found = {(path.parts[0], path.parts[1]) for path in FILES if len(path.parts) > 2}
    assert found == {(room, folder) for room, folders in FOLDERS.items() for folder in folders}


def test_losses_import_nothing_else_of_the_package() -> None:
    used = set().union(*(imported_rooms(path) for path in FILES if path.parts[0] == "losses"))
    assert used <= BELOW_ALL | {"losses"}


@pytest.mark.parametrize("name", sorted(BELOW_ALL))
def test_what_is_below_all_imports_no_room(name: str) -> None:
    assert imported_rooms(Path(f"{name}.py")) <= BELOW_ALL
