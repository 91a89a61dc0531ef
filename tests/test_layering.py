"""Imports run in one direction: a room imports from rooms below it, never from above."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tutelage

ROOMS = [
    *("losses", "models", "data", "taps", "connectors", "terms", "methods", "distillation", "config", "recipes"),
    *("runs", "measure", "training", "export", "students", "bench", "study", "report", "cli"),
]
BELOW_ALL = {"errors", "paths", "locks", "registry", "console"}
ROOT = Path(tutelage.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path.parent != ROOT)


def imported_rooms(path: Path) -> set[str]:
    """Returns the rooms that a file imports from, inside functions too; ``tutelage`` for the package itself."""
    rooms = set()
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
            package, _, rest = module.partition(".")
            if package == "tutelage":
                rooms.add(rest.split(".")[0] or "tutelage")
    return rooms


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_import_climbs(path: Path) -> None:
    room = path.parts[0]
    assert room in ROOMS, f"{room} is no room of the house"
    if room == "cli":
        return
    allowed = BELOW_ALL | set(ROOMS[: ROOMS.index(room) + 1])
    assert imported_rooms(path) <= allowed


def test_losses_import_nothing_else_of_the_package() -> None:
    used = set().union(*(imported_rooms(path) for path in FILES if path.parts[0] == "losses"))
    assert used <= BELOW_ALL | {"losses"}


@pytest.mark.parametrize("name", sorted(BELOW_ALL))
def test_what_is_below_all_imports_no_room(name: str) -> None:
    assert imported_rooms(Path(f"{name}.py")) <= BELOW_ALL
