"""Checkpoints: streamed to their file, with a format that is read, converted, or refused in words."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.pool import Pool
from harness.processes import kill_after
from harness.runs import SMALL, STEPS
from tutelage import TutelageError, resume, train
from tutelage.config import DistillSettings, load
from tutelage.runs import Checkpoint, Progress, RunFolder, read_sealed, write_sealed
from tutelage.runs.checkpoint import FORMAT
from tutelage.runs.sealed import MARK
from tutelage.training.engine import build_engine
from tutelage.training.evaluation.measuring import keep_measured, kept_measured, measure_teacher
from tutelage.training.job.job import build_job
from tutelage.training.loop.step import Step

CHECKPOINT = Checkpoint(
    student={"weight": torch.arange(6.0)},
    averaged=None,
    terms={},
    optimizer={"state": {0: {"momentum_buffer": torch.ones(6)}}, "param_groups": [{"lr": 0.1}]},
    scaler=None,
    random=[{"cpu": torch.get_rng_state(), "cuda": None}],
    progress=Progress(stage=1, epoch=2, best_top1=93.5, records=5),
    epoch={"step": 3, "seconds": 1.5, "waited": 0.5, "hits": 2, "meters": {"steps": 3.0}, "gradients": {"looks": 1}},
)


def peak_of(work: Callable[[], object]) -> int:
    """Return the bytes that Python allocated at most during some work; tensors are not among them."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_writing_and_reading_copy_no_state(tmp_path: Path) -> None:
    tensors = {str(number): torch.randn(1 << 16) for number in range(64)}
    checkpoint = replace(CHECKPOINT, student=tensors)
    state = sum(tensor.nbytes for tensor in tensors.values())
    assert peak_of(lambda: checkpoint.save(tmp_path / "last")) < state / 4
    assert (tmp_path / "last").stat().st_size > state
    assert peak_of(lambda: Checkpoint.load(tmp_path / "last")) < state / 4


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    CHECKPOINT.save(tmp_path / "last")
    loaded = Checkpoint.load(tmp_path / "last")
    assert loaded.progress == CHECKPOINT.progress and loaded.epoch == CHECKPOINT.epoch and loaded.step == 3
    assert torch.equal(loaded.student["weight"], CHECKPOINT.student["weight"])
    assert loaded.optimizer["param_groups"] == CHECKPOINT.optimizer["param_groups"]
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def seal_as_0_1(path: Path, state: dict[str, Any]) -> None:
    content = io.BytesIO()
    torch.save(state, content)
    path.write_bytes(MARK + hashlib.sha256(content.getvalue()).digest() + content.getvalue())


def test_a_checkpoint_of_0_1_within_an_epoch_is_read(tmp_path: Path) -> None:
    """0.1 had one table for the run and the epoch under way, and no format."""
    epoch = CHECKPOINT.epoch
    assert epoch is not None
    progress = {**vars(CHECKPOINT.progress), "step": 3, "step_seconds": 1.5, "waited": 0.5, "hits": 2}
    progress["terms"] = {"meters": epoch["meters"], "gradients": epoch["gradients"]}
    state = {name: value for name, value in vars(CHECKPOINT).items() if name != "epoch"}
    seal_as_0_1(tmp_path / "last", {**state, "progress": progress})
    loaded = Checkpoint.load(tmp_path / "last")
    assert loaded.progress == CHECKPOINT.progress and loaded.epoch == epoch
    between = {**progress, "step": 0, "terms": None}
    seal_as_0_1(tmp_path / "last", {**state, "progress": between})
    assert Checkpoint.load(tmp_path / "last").epoch is None


def test_a_newer_format_is_refused_in_words(tmp_path: Path) -> None:
    """And not taken for damage, which the checkpoint before would replace."""
    folder = RunFolder(tmp_path)
    folder.last.parent.mkdir()
    CHECKPOINT.save(folder.before)
    write_sealed(folder.last, {**read_sealed(folder.before), "format": FORMAT + 1})
    with pytest.raises(TutelageError, match=f"last has format {FORMAT + 1}.*resume the run with the version that"):
        folder.load_checkpoint()


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("teacher") / "run"
    train(model="resnet14", epochs=1, out=out, **SMALL)
    return str(out)


def teacher_line(folder: Path) -> str:
    return [line for line in (folder / "log.txt").read_text().splitlines() if line.startswith("teacher  ")][0]


def test_a_resume_takes_the_teacher_as_measured(
    teacher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {**SMALL, "teacher": teacher, "student": "resnet8", "method": "kd", "epochs": 2}
    kill_after(STEPS + 2, Step, "__call__", "distill", {**settings, "out": str(tmp_path / "run")})
    folder = RunFolder(tmp_path / "run")
    first = teacher_line(folder.path)
    state = read_sealed(folder.measured)
    write_sealed(folder.measured, {**state, "top1": 12.34, "predictions": torch.full_like(state["predictions"], -1)})
    resume(folder.path)
    assert "teacher  12.34 % top-1" in capsys.readouterr().out
    assert "teacher  12.34 % top-1" not in first
    assert folder.read_metrics()[-1]["val/agreement"] == 0


def job_of(teacher: str, out: Path) -> tuple[Any, Any]:
    settings = {**SMALL, "teacher": teacher, "student": "resnet8", "method": "kd", "epochs": 1, "out": str(out)}
    job = build_job(load(DistillSettings, settings))
    engine = build_engine("fp32", "cpu")
    job.distiller.to(engine.device)
    return job, engine


def measure_and_keep(rank: int, teacher: str, out: str) -> None:
    job, engine = job_of(teacher, Path(out))
    measured = measure_teacher(job, engine)
    assert measured is not None
    keep_measured(measured, job, engine)


def test_predictions_of_two_processes_are_read_by_one(teacher: str, pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    pool.run(measure_and_keep, teacher, str(tmp_path))
    job, engine = job_of(teacher, tmp_path)
    kept, measured = kept_measured(job, engine), measure_teacher(job, engine)
    assert kept is not None and measured is not None
    assert torch.equal(kept.predictions, measured.predictions)  # type: ignore[arg-type]
    assert kept.top1 == pytest.approx(measured.top1)
    next(job.teacher.network.parameters()).data.mul_(2)
    assert kept_measured(job, engine) is None, "another teacher"
    job, engine = job_of(teacher, tmp_path)
    path = RunFolder(tmp_path).measured
    path.write_bytes(path.read_bytes()[:-1])
    assert kept_measured(job, engine) is None, "a damaged file"
