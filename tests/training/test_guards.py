"""Gradients by term, steps that are not finite, terms that drown the task."""

from __future__ import annotations

import json
import math
import re
import resource
import warnings
from multiprocessing.queues import Queue
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from torch import Tensor
from torch.nn.modules.module import register_module_forward_pre_hook

from harness.cases import BY_NAME, batch, rebuilt
from harness.processes import FORKED, settle
from harness.runs import SMALL, STEPS
from tutelage import TutelageError, distill, train
from tutelage.config import TrainSettings, load
from tutelage.data import TrainLoader, open_data
from tutelage.distillation import Distiller
from tutelage.methods import METHODS, Method, Pair
from tutelage.models import create_model
from tutelage.runs.folder import RunFolder
from tutelage.terms import Stage, Term
from tutelage.training import replay
from tutelage.training.diagnosis.diagnosis import diagnose
from tutelage.training.diagnosis.memory import explain
from tutelage.training.engine import build_engine
from tutelage.training.job.job import build_job
from tutelage.training.loop.gradients import GradientWatch, warn_of_dominated_task


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("teacher") / "run"
    train(**SMALL, model="resnet8", epochs=1, out=out)
    return str(out)


def naive(distiller: Distiller, name: str) -> Tensor:
    """The gradient of one term alone, by a backward pass of its own."""
    distiller.zero_grad()
    distiller(*batch(dtype=torch.float64)).terms[name].backward()
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in distiller.student.parameters()]
    return torch.cat([gradient.flatten() for gradient in gradients])


def test_norms_and_cosines_are_those_of_each_term_alone() -> None:
    distiller = rebuilt(BY_NAME["at"], torch.float64).eval()
    looks = GradientWatch(distiller.student)
    for _ in range(2):
        looks.look(distiller(*batch(dtype=torch.float64)).terms)
    found, task = looks.means(), naive(distiller, "ce")
    assert found.keys() == {f"gradient/{n}" for n in distiller.term_names} | {
        f"cosine/{n}" for n in distiller.term_names if n != "ce"
    }
    for name in distiller.term_names:
        own = naive(distiller, name)
        assert found[f"gradient/{name}"] == pytest.approx(own.norm().item(), rel=1e-9)
        if name != "ce":
            cosine = torch.dot(own, task) / own.norm() / task.norm()
            assert found[f"cosine/{name}"] == pytest.approx(cosine.item(), rel=1e-9)


def test_a_look_changes_nothing_and_is_in_the_metrics(teacher: str, tmp_path: Path) -> None:
    pair = {**SMALL, "teacher": teacher, "student": "resnet8", "method": "kd+at", "epochs": 2}
    looked = distill(**pair, log_every=1, log_gradients=True, out=tmp_path / "looked")
    distill(**pair, log_every=1, out=tmp_path / "not")
    weights = [(tmp_path / name / "student" / "model.safetensors").read_bytes() for name in ("looked", "not")]
    assert weights[0] == weights[1]
    lines = (Path(looked.folder) / "metrics.jsonl").read_text().splitlines()
    for record in map(json.loads, lines):
        assert record["gradient/ce"] > 0 and record["gradient/kd"] > 0
        assert -1 <= record["cosine/at.layer3"] <= 1
    assert "gradient/" not in (tmp_path / "not" / "metrics.jsonl").read_text()


def test_a_term_that_dominates_the_task_is_warned_of_once() -> None:
    told: set[str] = set()
    with pytest.warns(UserWarning, match="at.layer3 is 250 times the cross-entropy.*one of at's settings"):
        warn_of_dominated_task({"loss": 505.0, "ce": 2.0, "at.layer3": 500.0, "kd": 3.0}, told)
    assert told == {"at.layer3"}
    warn_of_dominated_task({"ce": 2.0, "at.layer3": 500.0}, told)  # a second warning would be an error here
    warn_of_dominated_task({"hint.layer2": 500.0}, told)


def test_a_step_that_is_not_finite_can_be_replayed(tmp_path: Path) -> None:
    """The rate explodes with the first step of epoch 2, so that the second is not finite."""
    explosion = {"name": "step", "milestones": [1], "gamma": 1e30}
    settings = {**SMALL, "model": "resnet8", "epochs": 3, "schedule": explosion, "out": tmp_path / "run"}
    with pytest.raises(TutelageError, match=r"not finite: ce, .*epoch 2, step 2 \(26 images\).*tutelage replay"):
        train(**settings)
    failure = json.loads((tmp_path / "run" / "failure.json").read_text())
    loaded = load(TrainSettings, settings)
    order = list(TrainLoader(open_data(loaded.data).train, 26, 0).epoch(1))
    assert failure["rows"] == order[1].index.tolist()
    assert not math.isfinite(float(failure["terms"]["ce"]))
    assert failure["where"].startswith("the output of student.")
    student = RunFolder(tmp_path / "run").load_failed().student
    assert all(value.isfinite().all() for name, value in student.items() if "running" in name)
    assert student["bn1.num_batches_tracked"] == STEPS + 1, "those with which the step began"
    again = replay(tmp_path / "run")
    assert again.model_dump() == failure


@pytest.mark.parametrize(
    ("parameter", "where"),
    [
        ("layer2.0.conv1.weight", "the output of student.layer2.0.conv1"),
        ("fc.bias", "the output of student.fc"),
        (None, None),
    ],
)
def test_the_first_layer_that_is_not_finite_is_found(parameter: str | None, where: str | None) -> None:
    job = build_job(load(TrainSettings, {**SMALL, "model": "resnet8"}))
    if parameter is not None:
        job.student.get_parameter(parameter).data.select(0, 0).fill_(torch.inf)
    found = diagnose(job, build_engine("fp32", "cpu"), 0, 4, 3)
    assert (found.where, found.epoch, found.step) == (where, 5, 4)


def test_only_a_failed_step_is_replayed(teacher: str) -> None:
    with pytest.raises(TutelageError, match="no step of this run has failed"):
        replay(teacher)


class Steep(Method):
    """A term of finite value whose gradient is not: √x at x = 0."""

    def stages(self, pair: Pair) -> list[Stage]:
        term = Term("steep", 1.0, ("layer3",), ("layer3",), torch.mean, lambda x, t: (0 * x).sum().sqrt() + 0 * t)
        return [Stage("train", pair.epochs, (term,))]


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change(
    teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS._items, "steep", Steep)
    with pytest.raises(TutelageError, match="the gradient.*first at the gradient of student.layer3"):
        distill(**SMALL, teacher=teacher, student="resnet8", method="steep", epochs=2, out=tmp_path / "run")
    failure = json.loads((tmp_path / "run" / "failure.json").read_text())
    assert all(math.isfinite(float(value)) for value in failure["terms"].values())
    state = RunFolder(tmp_path / "run").load_failed()
    torch.manual_seed(0)
    untouched = create_model("resnet8", 10).state_dict()
    assert all(torch.equal(state.student[name], value) for name, value in untouched.items() if "weight" in name)


def test_a_teacher_that_knows_less_than_the_student_alone_is_told_before_training(tmp_path: Path) -> None:
    train(**{**SMALL, "batch_size": 13}, model="resnet8", epochs=6, out=tmp_path / "good")
    train(**{**SMALL, "optimizer": {"name": "sgd", "lr": 1e-6}}, model="resnet14", epochs=1, out=tmp_path / "bad")
    pair = {**SMALL, "student": "resnet8", "epochs": 1}
    with pytest.warns(UserWarning) as told:
        distill(**pair, teacher=str(tmp_path / "bad"), out=tmp_path / "one")
    said = "\n".join(str(warning.message) for warning in told)
    assert (
        "balanced over the classes), and always predicting the most frequent class reaches 10.3" in said
        and "the student alone" in said
        and "good" in said
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        distill(**pair, teacher=str(tmp_path / "good"), out=tmp_path / "two")


@pytest.mark.parametrize(("batch_size", "advice"), [(26, "accumulate=13,"), (3, "smaller student")])
def test_the_advice_on_memory_has_an_end(batch_size: int, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is free, no number of parts fits."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=0))
    job = build_job(load(TrainSettings, {**SMALL, "batch_size": batch_size, "model": "resnet8"}))
    assert advice in str(explain(MemoryError(), job, build_engine("fp32", "cpu")))


def test_memory_that_runs_out_again_while_it_is_explained() -> None:
    def run_out(*arguments: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    job = build_job(load(TrainSettings, {**SMALL, "model": "resnet8"}))
    handle = register_module_forward_pre_hook(run_out)
    try:
        error = explain(MemoryError(), job, build_engine("fp32", "cpu"))
    finally:
        handle.remove()
    assert "even 4 images do not fit" in str(error) and "data.size" in str(error)


def short_of_memory(folder: Path, said: Queue[str]) -> None:
    settle()
    taken = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (taken + 300_000_000, resource.RLIM_INFINITY))
    try:
        train(**{**SMALL, "data": "digits", "batch_size": 900}, model="wrn_16_4", epochs=1, out=folder)
    except TutelageError as error:
        said.put(str(error))


def test_memory_that_runs_out_is_explained(tmp_path: Path) -> None:
    said = FORKED.Queue()
    process = FORKED.Process(target=short_of_memory, args=(tmp_path / "run", said))
    process.start()
    error = said.get(timeout=120)
    process.join()
    found = re.search(
        r"for 900 images at once the student stores about ([\d.]+) GB .* \(([\d.]+) MB per image\)", error
    )
    assert found and "Set accumulate=" in error and "batch_size=450" in error
    # A wide block keeps each of its outputs: 64 channels at 16×16 in float32, of six convolutions and as many norms.
    assert 6 * 64 * 256 * 4 / 1e6 < float(found[2]) < 30 * 64 * 256 * 4 / 1e6
    assert float(found[1]) == pytest.approx(0.9 * float(found[2]), abs=0.01)
