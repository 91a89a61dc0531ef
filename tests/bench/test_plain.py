"""The plain loop: its naive losses are the methods' own, it reads the same images, and it trains."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.pictures import picture
from harness.cases import Case, batch, build
from naive import naive_losses
from plain import PilImages, PlainLoss, plain_steps
from tutelage.data import DataSettings, ImageData, open_data
from tutelage.distillation import Teacher, make_stages
from tutelage.methods import METHODS, parse
from tutelage.models import create_model
from tutelage.terms import Stage

JOINT = {"fitnets": {"joint": True, "temperature": 4.0}}
UNEQUAL = {"block1": "layer2", "block3": "layer1"}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return open_data(DataSettings(name="digits"))


@pytest.mark.parametrize(
    "case",
    [
        Case("kd", "kd", {}),
        Case("at", "at", {}),
        Case("at-unequal-sizes", "at", {"at": {"taps": UNEQUAL}}),
        Case("nst", "nst", {}),
        Case("nst-unequal-sizes", "nst", {"nst": {"taps": UNEQUAL}}),
        Case("fsp", "fsp", {}, teachers=("wrn_10_1",)),
        Case("fitnets-joint", "fitnets", JOINT),
        Case("fitnets-joint-unequal-sizes", "fitnets", {"fitnets": {**JOINT["fitnets"], "taps": UNEQUAL}}),
        Case("ofd", "ofd", {}),
        Case("ofd-eval", "ofd", {"ofd": {"teacher_mode": "eval"}}),
        Case("kd+at", "kd+at", {}),
    ],
    ids=str,
)
@pytest.mark.chaos
def test_the_loss_is_the_methods_own(case: Case) -> None:
    distiller = build(case).train()
    assert distiller.teacher is not None
    student, teacher = copy.deepcopy(distiller.student), copy.deepcopy(distiller.teacher.members[0].network)

    def plain(stage: Stage) -> float:
        losses = naive_losses(stage, teacher)
        assert losses is not None
        return PlainLoss(teacher, student, stage, losses)(images, labels).item()

    images, labels = batch()
    out = distiller(images, labels)
    assert plain(distiller.stage) == pytest.approx(out.loss.item(), rel=1e-4)
    for term in distiller.stage.terms:
        alone = replace(distiller.stage, terms=(term,), task_weight=0.0)
        assert plain(alone) == pytest.approx(out.terms[term.name].item(), rel=1e-4), term.name


@pytest.mark.parametrize("method", ["kd", "fitnets", "fsp", "none"])
@pytest.mark.chaos
def test_it_trains_the_student_alone(method: str, digits: ImageData) -> None:
    torch.manual_seed(0)
    teacher, student = create_model("resnet14", 10), create_model("resnet8", 10)
    stage = stages(method, student, teacher)[0]
    before, taught = copy.deepcopy(student.state_dict()), copy.deepcopy(teacher.state_dict())
    steps = plain_steps(digits, teacher if stage.needs_teacher else None, student, stage, 16, CPU)
    assert steps is not None
    steps(2)
    moved = {
        name for name, _ in student.named_parameters() if not torch.equal(before[name], student.state_dict()[name])
    }
    expected = {name for name, _ in student.named_parameters()}
    if method == "fsp":  # its first stage does not look at the logits
        expected -= {"fc.weight", "fc.bias"}
    assert moved == expected
    assert all(torch.equal(taught[name], value) for name, value in teacher.state_dict().items())


def test_connectors_are_trained_as_copies(digits: ImageData) -> None:
    torch.manual_seed(0)
    teacher, student = create_model("wrn_10_2", 10), create_model("resnet8", 10)
    stage = stages("fitnets", student, teacher)[0]
    before = [copy.deepcopy(term.state_dict()) for term in stage.terms]
    losses = naive_losses(stage, teacher)
    assert losses is not None
    loss_of = PlainLoss(teacher, student, stage, losses)
    images, labels = batch()
    loss_of(images, labels).backward()
    parameters = list(loss_of.connectors.parameters())
    assert parameters and all(parameter.grad is not None for parameter in parameters)
    steps = plain_steps(digits, teacher, student, stage, 16, CPU)
    assert steps is not None
    steps(1)
    for term, state in zip(stage.terms, before):
        assert all(torch.equal(state[name], value) for name, value in term.state_dict().items())


def test_a_term_without_a_naive_loss_has_no_plain_loop(digits: ImageData) -> None:
    teacher, student = create_model("resnet14", 10), create_model("resnet8", 10)
    stage = stages("kd+at_gradient", student, teacher)[0]
    assert plain_steps(digits, teacher, student, stage, 16, CPU) is None


def test_small_images_are_the_datas_own(digits: ImageData) -> None:
    images = PilImages(digits)
    row = digits.train.rows[5]
    assert np.array_equal(np.asarray(images.image(5)).transpose(2, 0, 1), digits.train.samples.images[row])
    view, label = images[5]
    assert view.shape == (3, *digits.size) and label == digits.train.labels[5]
    assert len(images) == len(digits.train)


def test_larger_images_are_decoded_and_cropped(tmp_path: Path) -> None:
    for seed in range(20):
        folder = tmp_path / "train" / ("cat", "dog")[seed % 2]
        folder.mkdir(parents=True, exist_ok=True)
        picture(seed, 40 + seed, 50).save(folder / f"{seed}.png")
    data = open_data(DataSettings(name=str(tmp_path), size=24))
    images = PilImages(data)
    assert images.image(0).mode == "RGB" and images.image(0).width == 50
    assert {images[index][0].shape for index in range(len(images))} == {(3, 24, 24)}
    assert [images[index][1] for index in range(len(images))] == data.train.labels.tolist()


def stages(method: str, student: torch.nn.Module, teacher: torch.nn.Module) -> list[Stage]:
    settings = JOINT if method == "fitnets" else {}
    methods = {name: METHODS[name](**settings.get(name, {})) for name in parse(method)}
    return make_stages(methods, student, Teacher(teacher), 16, epochs=5)
