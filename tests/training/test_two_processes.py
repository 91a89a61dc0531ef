"""Several processes compute what one does with the same micro-batches; each sample is evaluated once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.cases import CASES, Case, batch, build, index_of, losses_of_one
from harness.marks import quickly
from harness.pool import Pool
from tutelage import evaluate, train
from tutelage.config import TrainSettings, load
from tutelage.distillation import Distiller
from tutelage.terms import alone
from tutelage.training.engine import build_engine
from tutelage.training.feeding.feed import build_feed
from tutelage.training.job.job import build_job

RUN: dict[str, Any] = {
    "data": {"name": "digits", "fraction": 0.2},
    "model": "resnet8",
    "epochs": 1,
    "batch_size": 64,
    "precision": "fp32",
    "device": "cpu",
}


QUICK = {
    *("at_gradient-symmetry", "kd+ofd", "ctkd", "gkl", "crd", "itrd"),
}
"""A term that differentiates twice; connectors; a trained temperature; shared state; gradients that are transposed."""


# In float32, rounding alone exceeds any useful tolerance where gradients cancel, and differs between processors.
PRECISE = torch.float64


def micro_batches(world: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [batch(4, PRECISE, seed) for seed in range(1, world + 1)]


def shared_state(distiller: Distiller) -> dict[str, torch.Tensor]:
    """Returns the buffers of terms that see the samples of all processes."""
    terms = {term.name: term for term in distiller.stage.terms if term.relational}
    return {f"{name}.{key}": value for name, term in terms.items() for key, value in term.named_buffers()}


def gradients_of_one_rank(rank: int, case: Case) -> tuple[float, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    engine = build_engine("fp32", "cpu")
    distiller = build(case, PRECISE).train()
    module = engine.prepare(distiller)
    images, labels = micro_batches(engine.num_processes)[rank]
    loss = module(images, labels, index=index_of(images)).loss
    engine.backward(loss)
    mean = engine.reduce(loss.detach(), "mean").item()
    gradients = {name: p.grad for name, p in distiller.named_parameters() if p.grad is not None}
    return mean, gradients, shared_state(distiller)


def assert_as_one(case: Case, pool: Pool, world: int) -> None:
    distiller = build(case, PRECISE).train()
    whole = sum(losses_of_one(distiller, micro_batches(world)))
    whole.backward()
    for mean, gradients, state in pool.run(gradients_of_one_rank, case):
        assert mean == pytest.approx(whole.item(), rel=1e-9)
        expected = {name: p.grad for name, p in distiller.named_parameters() if p.grad is not None}
        assert gradients.keys() == expected.keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(state, shared_state(distiller), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", quickly(CASES, QUICK), ids=str)
def test_gradients_of_two_processes_are_those_of_one(case: Case, pool: Pool) -> None:
    assert_as_one(case, pool, 2)


def step_of_the_first_rank(rank: int, case: Case) -> float:
    if rank > 0:
        return 0.0
    images, labels = batch(4, PRECISE)
    with alone():
        loss: float = build(case, PRECISE).train()(images, labels, index=index_of(images)).loss.item()
    return loss


def test_a_process_can_repeat_a_step_alone(pool: Pool) -> None:
    case = next(case for case in CASES if case.name == "crd")
    images, labels = batch(4, PRECISE)
    expected = build(case, PRECISE).train()(images, labels, index=index_of(images)).loss.item()
    assert pool.run(step_of_the_first_rank, case)[0] == pytest.approx(expected, rel=1e-9)


@pytest.fixture(scope="module")
def four() -> Iterator[Pool]:
    pool = Pool(4)
    yield pool
    pool.close()


@pytest.mark.chaos
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_of_four_processes_are_those_of_one(case: Case, four: Pool) -> None:
    assert_as_one(case, four, 4)


def train_on_one_rank(rank: int, out: str) -> tuple[float, float | None]:
    result = train(**RUN, out=out)
    return result.top1, result.best_top1


def test_a_whole_run_in_two_processes(pool: Pool, tmp_path: Path) -> None:
    (first, first_best), (second, second_best) = pool.run(train_on_one_rank, str(tmp_path / "run"))
    assert first == second and first_best == second_best
    alone = evaluate(model=str(tmp_path / "run"), batch_size=100, device="cpu")
    assert alone["count"] == 359
    assert alone["top1"] == pytest.approx(first)
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1


def batches_on_one_rank(rank: int, world: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    data = {"name": "digits", "mixup": 1.0, "cutmix": 1.0, "randaugment": 1}
    job = build_job(load(TrainSettings, {**RUN, "data": data}))
    feed = build_feed(job, torch.device("cpu"), rank, world)
    return [(fed.images, fed.labels) for fed in islice(feed.epoch(1), 3)]


def test_two_processes_see_the_mixtures_of_one(pool: Pool) -> None:
    first, second = pool.run(batches_on_one_rank, 2)
    for (images, labels), *shares in zip(batches_on_one_rank(0, 1), first, second):
        assert labels.shape == (64, 10)
        assert torch.equal(torch.cat([share[0] for share in shares]), images)
        assert torch.equal(torch.cat([share[1] for share in shares]), labels)
