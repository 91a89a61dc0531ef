from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tutelage.data.cache import cache_folder, make_once


def test_two_that_make_the_same_at_once_both_get_it_whole(cache: Path) -> None:
    together = Barrier(2)

    def make(folder: Path) -> None:
        together.wait(timeout=30)
        (folder / "a").write_text("a")
        together.wait(timeout=30)
        (folder / "b").write_text("b")

    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda _: make_once("kind", "key", make), range(2)))
    assert folders == [cache / "kind" / "key"] * 2
    assert sorted(path.name for path in folders[0].iterdir()) == ["a", "b"]
    assert [path.name for path in (cache / "kind").iterdir()] == ["key"]


def test_a_failure_leaves_nothing(cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("out of space")

    with pytest.raises(RuntimeError, match="out of space"):
        make_once("kind", "key", fail)
    assert not list((cache / "kind").iterdir())


def test_the_folder_is_the_users_to_choose(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("TUTELAGE_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "tutelage"
