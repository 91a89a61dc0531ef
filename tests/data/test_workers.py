"""Worker processes: batches without shared memory, workers that are killed, scripts without a main guard."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch

from data.pictures import picture
from harness.processes import in_process, settle
from harness.runs import SMALL
from harness.steps import at_step
from tutelage import TutelageError, train
from tutelage.data import DataSettings, TrainLoader, open_data

NEW_MOUNTS = 0x00020000
"""``CLONE_NEWNS`` of Linux."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(24):
        path = tmp_path / "data" / "train" / f"class {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number, 90, 110).save(path)
    return tmp_path / "data"


def read(folder: Path, workers: int) -> list[torch.Tensor]:
    data = open_data(DataSettings(name=str(folder), size=80, workers=workers))
    return [batch.images.clone() for batch in TrainLoader(data.train, 6, seed=0).epoch(0)]


def limit_files(folder: Path) -> None:
    """Shared memory is files, which this limit fails to make, as another process does that fills it in between."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


def mount_small_shared_memory(folder: Path) -> None:
    """Give this process a /dev/shm of its own that is smaller than a batch."""
    if ctypes.CDLL(None).unshare(NEW_MOUNTS):
        os._exit(77)
    for words in ("--make-rprivate /", "-t tmpfs -o size=64k tmpfs /dev/shm"):
        subprocess.run(["mount", *words.split()], check=True)


def read_without_room(limit: Callable[[Path], None], folder: Path, said: Path) -> None:
    multiprocessing.set_start_method("fork", force=True)
    expected = read(folder, workers=0)
    limit(folder)
    with warnings.catch_warnings(record=True) as warned:
        found = read(folder, workers=2)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    os.write(os.open(said, os.O_CREAT | os.O_WRONLY), str(warned[0].message).encode())


@pytest.mark.parametrize("limit", [limit_files, mount_small_shared_memory])
def test_batches_that_shared_memory_has_no_room_for_go_through_pipes(
    limit: Callable[[Path], None], folder: Path, tmp_path: Path
) -> None:
    code = in_process(read_without_room, limit, folder, tmp_path / "said")
    if code == 77:
        pytest.skip("mounting needs privileges")
    assert code == 0
    said = (tmp_path / "said").read_text()
    assert said.startswith("/dev/shm is too small for the batches of data.workers=2")
    assert "--shm-size=1g" in said and "data.workers=0" in said


def kill_worker() -> None:
    for worker in psutil.Process().children():
        worker.send_signal(signal.SIGBUS)


def train_while_a_worker_dies(folder: Path, out: Path) -> None:
    settle()
    multiprocessing.set_start_method("fork", force=True)
    at_step(2, kill_worker)
    settings = {**SMALL, "data": {"name": str(folder), "size": 80, "workers": 1}, "batch_size": 2}
    with pytest.raises(TutelageError, match="a process that decodes images ended"):
        train(**settings, model="resnet8", epochs=1, out=out)


def test_a_worker_that_is_killed_ends_the_run_in_words(folder: Path, tmp_path: Path) -> None:
    assert in_process(train_while_a_worker_dies, folder, tmp_path / "run") == 0


def run_spawned(script: Path, said: Path) -> None:
    out = os.open(said, os.O_CREAT | os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    multiprocessing.set_start_method("spawn", force=True)
    sys.argv = [str(script)]
    runpy.run_path(str(script), run_name="__main__")


@pytest.mark.chaos
def test_a_script_without_main_guard_says_what_it_lacks(folder: Path, tmp_path: Path) -> None:
    settings = {"data": {"name": str(folder), "size": 80, "workers": 1}, "model": "resnet8", "epochs": 1}
    settings |= {"batch_size": 4, "compile": "off", "precision": "fp32", "device": "cpu", "out": str(tmp_path / "run")}
    script = tmp_path / "script.py"
    script.write_text(f"import tutelage\ntutelage.train(**{settings!r})\n")
    assert in_process(run_spawned, script, tmp_path / "said") == 1
    lines = [line for line in (tmp_path / "said").read_text().splitlines() if "TutelageError:" in line]
    assert len(lines) == 2
    assert "a worker process imported your script, which calls tutelage again" in lines[0]
    assert "a process that decodes images ended" in lines[1]
    assert all('under `if __name__ == "__main__":`' in line for line in lines)
