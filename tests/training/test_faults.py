"""What goes wrong around a run: preemption, damaged checkpoints, a full disk, vanished data, a second run."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import threading
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import pytest

from data.pictures import picture
from harness.marks import quickly
from harness.processes import FORKED, in_process, settle
from harness.runs import SMALL, STEPS
from harness.steps import at_step
from tutelage import TutelageError, resume, train
from tutelage.errors import EXIT_CODE
from tutelage.runs.folder import RunFolder
from tutelage.training.loop.step import Step

RUN: dict[str, Any] = {**SMALL, "model": "resnet8"}


def stopped(folder: Path, step: int, model: str, *signals: signal.Signals) -> None:
    settle()
    at_step(step, lambda: [os.kill(os.getpid(), number) for number in signals])
    try:
        train(**{**RUN, "model": model}, epochs=2, out=folder)
    except KeyboardInterrupt:
        sys.exit(130)


@pytest.mark.parametrize(
    ("number", "step", "model"),
    [
        pytest.param(signal.SIGTERM, STEPS + 2, "resnet8", id="within an epoch"),
        pytest.param(signal.SIGINT, STEPS, "resnet8", id="at its end"),
        pytest.param(signal.SIGINT, 2, "torchvision/mobilenet_v3_small", id="with dropout", marks=pytest.mark.chaos),
    ],
)
def test_a_run_that_is_stopped_loses_no_step(number: signal.Signals, step: int, model: str, tmp_path: Path) -> None:
    expected = EXIT_CODE if number == signal.SIGTERM else 130
    assert in_process(stopped, tmp_path / "run", step, model, number) == expected
    checkpoint, damage = RunFolder(tmp_path / "run").load_checkpoint()
    assert checkpoint is not None and damage is None
    assert (checkpoint.progress.epoch, checkpoint.step) == divmod(step, STEPS)
    resume(tmp_path / "run")
    train(**{**RUN, "model": model}, epochs=2, out=tmp_path / "whole")
    weights = [(tmp_path / name / "student" / "model.safetensors").read_bytes() for name in ("run", "whole")]
    assert weights[0] == weights[1]


def test_ctrl_c_twice_does_not_wait(tmp_path: Path) -> None:
    assert in_process(stopped, tmp_path / "run", STEPS + 2, "resnet8", signal.SIGINT, signal.SIGINT) == 130
    checkpoint, _ = RunFolder(tmp_path / "run").load_checkpoint()
    assert checkpoint is not None
    assert (checkpoint.progress.epoch, checkpoint.step) == (1, 0)


def cut(folder: Path, step: int, minutes: float) -> None:
    settle()
    at_step(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    train(**RUN, epochs=3, checkpoint_minutes=minutes, out=folder)


@pytest.fixture
def unfinished(tmp_path: Path) -> RunFolder:
    """A run killed in its second epoch, with a checkpoint after every step."""
    assert in_process(cut, tmp_path / "run", STEPS + 3, 0) == -signal.SIGKILL
    return RunFolder(tmp_path / "run")


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("place", quickly([0, 40, -1000], {"-1000"}))
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    place: int, unfinished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(unfinished.last, place)
    resume(unfinished.path)
    said = capsys.readouterr().out
    assert "checkpoints/last is damaged" in said and "resuming from the previous checkpoint" in said
    assert "after 1 of 3 epochs and 1 steps" in said
    train(**RUN, epochs=3, out=tmp_path / "whole")
    assert unfinished.student.joinpath("model.safetensors").read_bytes() == (
        (tmp_path / "whole" / "student" / "model.safetensors").read_bytes()
    )


def test_with_no_good_checkpoint_nothing_is_touched(unfinished: RunFolder) -> None:
    unfinished.last.write_bytes(b"")
    flip(unfinished.before, -1)
    before = sorted((path.name, path.stat().st_size) for path in unfinished.path.rglob("*") if path.is_file())
    with pytest.raises(TutelageError, match="last is damaged.*before is damaged.*start a new run"):
        resume(unfinished.path)
    assert before == sorted((path.name, path.stat().st_size) for path in unfinished.path.rglob("*") if path.is_file())


def with_a_full_disk(folder: Path, said: Queue[str]) -> None:
    settle()
    # A limit on the size of files stands for the end of the disk: writing fails in the same place and way.
    at_step(STEPS + 2, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)))
    try:
        train(**RUN, epochs=3, out=folder)
    except TutelageError as error:
        said.put(str(error))


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    said = FORKED.Queue()
    assert in_process(with_a_full_disk, tmp_path / "run", said) == 0
    error = said.get()
    assert "checkpoint is kept" in error and f"tutelage resume {tmp_path / 'run'}" in error
    folder = RunFolder(tmp_path / "run")
    assert not list(folder.path.rglob("*.tmp"))
    checkpoint, _ = folder.load_checkpoint()
    assert checkpoint is not None and checkpoint.progress.epoch == 1
    assert resume(folder.path).status == "finished"


def test_a_second_run_on_the_folder_is_refused(tmp_path: Path) -> None:
    """Whether it begins anew or resumes; and the first one ends undisturbed."""
    refused: list[str] = []

    def intrude() -> None:
        for start in (lambda: resume(tmp_path / "run"), lambda: train(**RUN, out=tmp_path / "run", overwrite=True)):
            with pytest.raises(TutelageError) as error:
                start()
            refused.append(str(error.value))

    original = Step.__call__
    try:
        at_step(STEPS + 1, intrude)
        train(**RUN, epochs=2, out=tmp_path / "run")
    finally:
        Step.__call__ = original  # type: ignore[method-assign]
    assert len(refused) == 2 and all("is still in progress" in said for said in refused)


def test_a_run_in_a_thread_leaves_signals_alone(tmp_path: Path) -> None:
    usual = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=train, kwargs={**RUN, "epochs": 1, "out": tmp_path / "run"})
    thread.start()
    thread.join()
    assert RunFolder(tmp_path / "run").is_finished()
    assert signal.getsignal(signal.SIGTERM) == usual


def test_data_that_vanish_end_the_run_in_words(tmp_path: Path) -> None:
    for number in range(60):
        path = tmp_path / "data" / "train" / f"class {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number, 100, 120).save(path)
    original = Step.__call__
    try:
        at_step(1, lambda: shutil.rmtree(tmp_path / "data"))
        with pytest.raises(TutelageError, match="data/train/.*"):
            train(**{**RUN, "data": {"name": str(tmp_path / "data"), "size": 96}}, epochs=9, out=tmp_path / "run")
    finally:
        Step.__call__ = original  # type: ignore[method-assign]
