from __future__ import annotations

import os
import pwd
import resource
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from data.pictures import encode, picture
from tutelage.data import DataSettings, open_data
from tutelage.data.stored.derived import cache_folder, make_once
from tutelage.errors import TutelageError


def test_one_makes_it_while_the_other_waits(cache: Path) -> None:
    made = []
    started = Event()

    def make(folder: Path) -> None:
        made.append(folder)
        started.set()
        (folder / "a").write_text("a")

    def late() -> Path:
        started.wait(timeout=30)
        return make_once("kind", "key", make)

    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(late)
        first = pool.submit(make_once, "kind", "key", make)
        assert first.result() == waiting.result() == cache / "kind" / "key"
    assert len(made) == 1
    assert [path.name for path in (cache / "kind").iterdir()] == ["key"]


def make_and_count(count: Path) -> None:
    def make(folder: Path) -> None:
        with count.open("a") as file:
            file.write("made\n")
        (folder / "a").write_text("a")

    make_once("kind", "key", make)


def make_and_die() -> None:
    def make(folder: Path) -> None:
        (folder / "half").touch()
        os.kill(os.getpid(), signal.SIGKILL)

    make_once("kind", "key", make)


def start(work: Callable[..., None], *arguments: object) -> BaseProcess:
    process = get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


def test_several_processes_make_one_copy(cache: Path, tmp_path: Path) -> None:
    processes = [start(make_and_count, tmp_path / "count") for _ in range(3)]
    for process in processes:
        process.join()
    assert (tmp_path / "count").read_text() == "made\n"


def test_a_killed_maker_is_followed_by_another(cache: Path) -> None:
    killed = start(make_and_die)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert (cache / "kind" / ".partial-key" / "half").exists()
    folder = make_once("kind", "key", lambda folder: (folder / "a").touch())
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert [path.name for path in (cache / "kind").iterdir()] == ["key"]


def test_a_cache_that_cannot_be_written_is_named(make_parquet: Any, cache: Path) -> None:
    root = make_parquet({"train-0": ([encode(picture(seed, 70, 90)) for seed in range(8)], [0, 1] * 4)}, ["x", "y"])
    cache.write_text("a file where the folder should be")
    with pytest.raises(TutelageError, match=f"the cache in {cache} cannot be written .*set TUTELAGE_CACHE") as caught:
        open_data(DataSettings(name=str(root), workers=0))
    assert "readable image" not in str(caught.value)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """A limit on the size of files stands for the end of the disk: writing fails in the same place and way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("side", [32, 90])
def test_a_full_disk_leaves_nothing_in_the_cache(
    side: int, make_parquet: Any, cache: Path, request: pytest.FixtureRequest
) -> None:
    images = [encode(picture(seed, side, side)) for seed in range(40)]
    root = make_parquet({"train-0": (images, [0, 1] * 20)}, ["x", "y"])
    request.getfixturevalue("full_disk")
    with pytest.raises(TutelageError, match=rf"the cache in {cache} cannot be written \(File too large\); free"):
        open_data(DataSettings(name=str(root), workers=0))
    assert not list(cache.rglob("images.*")) and not list(cache.rglob(".partial-*"))


def test_a_failure_leaves_nothing(cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("out of space")

    with pytest.raises(RuntimeError, match="out of space"):
        make_once("kind", "key", fail)
    assert not list((cache / "kind").iterdir())


def test_a_user_without_home_learns_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(number: int) -> None:
        raise KeyError(number)

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("TUTELAGE_CACHE", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", fail)  # a user ID without an entry in the passwd file
    with pytest.raises(TutelageError, match="no home directory; set TUTELAGE_CACHE to a writable folder"):
        open_data(DataSettings(name="digits"))


def test_the_folder_is_the_users_to_choose(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("TUTELAGE_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "tutelage"
