"""Training on a GPU: precisions, compilation, graphs, the feed, one NCCL process, resuming, memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from data.pictures import picture
from harness.cases import CASES, Case, batch, build, index_of
from harness.processes import signal_after, words
from harness.runs import SMALL, STEPS
from harness.steps import Watch, watch
from tutelage import TutelageError, distill, resume, train
from tutelage.config import TrainSettings, load
from tutelage.data import PackedSamples
from tutelage.runs.folder import RunFolder
from tutelage.training.engine import build_engine
from tutelage.training.feeding.feed import Feed, build_feed
from tutelage.training.job.job import build_job
from tutelage.training.loop.step import Step

pytestmark = pytest.mark.gpu

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
ON_GPU = {**SMALL, "device": "auto"}
CLOSE = {"fp32": 1e-3, "tf32": 1e-2, "bf16": 5e-2, "fp16": 5e-2}
"""Relative error of a loss, against the CPU in float32."""


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("teacher") / "run"
    train(**SMALL, model="resnet14", epochs=3, out=folder)
    return str(folder)


@pytest.fixture(scope="module")
def pair(teacher: str) -> dict[str, Any]:
    return {**ON_GPU, "teacher": teacher, "student": "resnet8", "method": "kd+at", "epochs": 4}


@pytest.fixture(scope="module")
def on_cpu(pair: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Watch:
    return watch(**{**pair, "device": "cpu"}, out=tmp_path_factory.mktemp("cpu") / "run")[1]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_loss_and_gradients_are_those_of_the_cpu(case: Case) -> None:
    found = []
    for device in (CPU, GPU):
        engine = build_engine("fp32", "cpu" if device == CPU else "auto")
        assert engine.device.type == device.type
        distiller = build(case).train().to(device)
        images, labels = (tensor.to(device) for tensor in batch(8))
        loss = distiller(images, labels, index=index_of(images)).loss
        loss.backward()
        gradients = [parameter.grad for parameter in distiller.parameters() if parameter.grad is not None]
        found.append((loss.item(), torch.nn.utils.get_total_norm(gradients).item()))
    assert found[1] == pytest.approx(found[0], rel=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_a_precision_learns_what_the_cpu_learns(
    precision: str, pair: dict[str, Any], on_cpu: Watch, tmp_path: Path
) -> None:
    fit, seen = watch(**{**pair, "precision": precision}, out=tmp_path / "run")
    assert fit.engine.device.type == "cuda"
    assert seen.losses[0] == pytest.approx(on_cpu.losses[0], rel=CLOSE[precision])
    assert all(torch.isfinite(torch.tensor(seen.losses))) and seen.losses[-1] < seen.losses[0]
    assert (fit.engine.scaler is not None) == (precision == "fp16")
    assert all(value.dtype != torch.float16 for value in seen.students[-1].values())


@pytest.mark.parametrize("choice", ["both", "graphs"])
def test_compiled_networks_learn_the_same(choice: str, pair: dict[str, Any], on_cpu: Watch, tmp_path: Path) -> None:
    _, seen = watch(**{**pair, "compile": choice}, out=tmp_path / "run")
    assert seen.losses[0] == pytest.approx(on_cpu.losses[0], rel=1e-3)
    assert seen.losses == pytest.approx(on_cpu.losses, rel=0.1)


def test_precision_and_compilation_are_chosen(pair: dict[str, Any], tmp_path: Path) -> None:
    result = distill(**{**pair, "precision": "auto", "compile": "auto", "epochs": 30}, out=tmp_path / "run")
    assert result.precision in ("fp32", "bf16") and result.top1 is not None


def test_a_cache_filled_on_a_gpu_is_read_back(pair: dict[str, Any], tmp_path: Path) -> None:
    cache = {"views": 2, "folder": str(tmp_path / "cache")}
    first, again = (watch(**pair, cache=cache, out=tmp_path / name)[1] for name in ("first", "again"))
    assert again.losses == pytest.approx(first.losses, rel=0.05)


def feed_of(data: str | dict[str, Any], device: torch.device) -> Feed:
    settings = {**ON_GPU, "data": data, "model": "resnet8", "epochs": 1, "batch_size": 8}
    return build_feed(build_job(load(TrainSettings, settings)), device)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for name, split in (("cat", "train"), ("dog", "train"), ("cat", "val"), ("dog", "val")):
        (tmp_path / split / name).mkdir(parents=True)
        for number in range(12):
            picture(number, 90 + number, 120).save(tmp_path / split / name / f"{number}.png")
    return str(tmp_path)


@pytest.mark.parametrize("data", ["digits", "folder"])
def test_the_next_batch_is_prefetched_and_the_same_as_on_the_cpu(data: str, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue("folder") if data == "folder" else SMALL["data"]
    before = threading.active_count()
    batches = feed_of(source, GPU).epoch(3)
    first = next(batches)
    assert threading.active_count() > before
    for ours, theirs in zip([first, *batches], feed_of(source, CPU).epoch(3)):
        assert ours.images.device == GPU and ours.labels.device == GPU
        assert ours.images.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(ours.images.cpu(), theirs.images) and torch.equal(ours.labels.cpu(), theirs.labels)
        assert (ours.rows == theirs.rows).all()


def test_small_data_stay_on_the_gpu_where_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def first_images(data: Any) -> torch.Tensor:
        return next(data.loader.read([data.loader.split.rows[:4]], 0)).images

    feed = feed_of("digits", GPU)
    assert isinstance(feed.loader.split.samples, PackedSamples)
    assert first_images(feed).is_cuda
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (1000, 1000))
    assert not first_images(feed_of("digits", GPU)).is_cuda


def test_one_process_of_nccl(pair: dict[str, Any], on_cpu: Watch, tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=1", "-m", "tutelage"]
    source = Path(__file__).resolve().parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])}
    command = [*launcher, "distill", *words({**pair, "out": str(tmp_path / "run")})]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "destroy_process_group" not in done.stderr
    records = RunFolder(tmp_path / "run").read_metrics()
    assert records[0]["train/loss"] == pytest.approx(sum(on_cpu.losses[:STEPS]) / STEPS, rel=0.05)


def test_a_killed_run_is_resumed(pair: dict[str, Any], tmp_path: Path) -> None:
    settings = {**pair, "precision": "fp16"}
    distill(**settings, out=tmp_path / "whole")
    killed = tmp_path / "killed"
    code, said = signal_after(
        signal.SIGKILL, 2 * STEPS + 2, Step, "__call__", "distill", {**settings, "out": str(killed)}
    )
    assert code == -signal.SIGKILL, said
    checkpoint, _ = RunFolder(killed).load_checkpoint()
    assert checkpoint is not None and checkpoint.scaler and checkpoint.random[0]["cuda"] is not None
    resume(killed)
    whole, resumed = (RunFolder(path).read_metrics() for path in (tmp_path / "whole", killed))
    assert len(resumed) == len(whole) == 4
    # Kernels on a GPU add up in any order, so the same bits are not to be had.
    assert [record["train/loss"] for record in resumed] == pytest.approx(
        [record["train/loss"] for record in whole], rel=0.1
    )


def test_a_run_on_the_cpu_follows_one_on_the_gpu_in_one_process(tmp_path: Path) -> None:
    for device, kind in (("auto", "cuda"), ("cpu", "cpu"), ("auto", "cuda")):
        fit, _ = watch(
            **{**SMALL, "device": device}, model="resnet8", epochs=1, out=tmp_path / f"{kind}-{device}", overwrite=True
        )
        assert fit.engine.device.type == kind
        assert next(fit.job.student.parameters()).device.type == kind


def test_memory_that_runs_out_is_explained(tmp_path: Path) -> None:
    settings = {**ON_GPU, "data": {"name": "digits", "size": 64}, "model": "wrn_40_2", "batch_size": 1024, "epochs": 1}
    torch.cuda.empty_cache()
    # Two gigabytes: enough for the network and for a few images, far from enough for the batch.
    torch.cuda.set_per_process_memory_fraction(2e9 / torch.cuda.mem_get_info(GPU)[1], GPU)
    try:
        with pytest.raises(TutelageError, match=r"out of memory: for 1024 images .* GB for the backward pass"):
            train(**settings, out=tmp_path / "run")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, GPU)
        torch.cuda.empty_cache()
