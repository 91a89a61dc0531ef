"""The distiller in somebody's own loop."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tutelage
from harness.cases import CLASSES, SIZE, batch, networks
from tutelage.distillation import Distiller, Teacher, Teachers, make_stages, native_size
from tutelage.losses import kd_loss
from tutelage.methods import METHODS
from tutelage.terms import IMAGE_GRADIENT, LOGITS, ComputedTap, Network, Stage, Term


def test_it_is_a_module_for_any_loop() -> None:
    student, teacher = networks()
    distiller = tutelage.Distiller(student, teacher, "kd+at", input_size=SIZE)
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.05, momentum=0.9)
    images, labels = batch(8)
    losses = []
    for _ in range(15):
        out = distiller(images, labels)
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(out.loss.item())
    assert losses[-1] < losses[0] / 2
    assert out.logits.shape == (8, CLASSES) and set(out.terms) == {"ce", "kd", "at.layer1", "at.layer2", "at.layer3"}


def test_plain_networks_get_the_images_unchanged() -> None:
    student, teacher = networks()
    images, labels = batch()
    out = tutelage.Distiller(student, teacher, "kd", input_size=SIZE).eval()(images, labels)
    expected = 0.9 * kd_loss(student.eval()(images), teacher.eval()(images))
    torch.testing.assert_close(out.terms["kd"], expected)


def test_each_network_has_its_own_normalisation() -> None:
    class Shift(nn.Module):
        size = None

        def __init__(self, by: float) -> None:
            super().__init__()
            self.by = by

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images + self.by

    student, network = networks()
    images, labels = batch()
    teacher = tutelage.Teacher(network, Shift(0.5))
    out = tutelage.Distiller(student, teacher, "kd", input_size=SIZE, normalization=Shift(-0.5)).eval()(images, labels)
    expected = 0.9 * kd_loss(student.eval()(images - 0.5), network(images + 0.5))
    torch.testing.assert_close(out.terms["kd"], expected)


def test_the_teacher_is_in_no_state_dict_and_follows_moves() -> None:
    student, teacher = networks()
    distiller = tutelage.Distiller(student, teacher, "kd", input_size=SIZE).to(torch.float64)
    assert all(name.startswith("student.") for name in distiller.state_dict())
    assert next(distiller.teacher.parameters()).dtype == torch.float64
    assert torch.isfinite(distiller(*batch(dtype=torch.float64)).loss)


def test_loading_weights_into_the_student_is_seen_by_the_distiller() -> None:
    student, teacher = networks()
    distiller = tutelage.Distiller(student, teacher, "kd", input_size=SIZE).eval()
    images, labels = batch()
    student.load_state_dict({name: torch.zeros_like(value) for name, value in student.state_dict().items()})
    assert distiller(images, labels).logits.abs().max() == 0


def test_train_mode_reaches_the_student_and_not_the_teacher() -> None:
    student, teacher = networks()
    distiller = tutelage.Distiller(student, teacher, "kd", input_size=SIZE)
    images, labels = batch()
    before = student.bn1.running_mean.clone()
    distiller.eval()(images, labels)
    assert torch.equal(before, student.bn1.running_mean)
    distiller.train()(images, labels)
    assert not torch.equal(before, student.bn1.running_mean)
    assert not teacher.training


def test_a_network_says_what_size_it_is_made_for() -> None:
    sizes = {name: native_size(tutelage.create_model(name, 5)) for name in ("resnet8", "residual_cnn_8", "plain_cnn")}
    assert sizes == {"resnet8": (32, 32), "residual_cnn_8": (224, 224), "plain_cnn": (224, 224)}


class Mirrored(ComputedTap):
    """The logits of the mirrored images: an extra pass, without a gradient."""

    def compute(
        self, network: Network, images: Tensor, features: Mapping[str, Tensor], labels: Tensor | None
    ) -> Tensor:
        return network(images.flip(3))[LOGITS]


def test_a_term_brings_its_own_pass() -> None:
    student, teacher = networks()
    tap = Mirrored("mirrored")
    term = Term("mirrored", 2.0, (tap, "layer1"), (tap,), lambda logits: logits, lambda s, _, t: F.mse_loss(s, t))
    stage = Stage("train", 1, (term,), task_weight=0.0)
    assert stage.student_taps == ("layer1",) and stage.student_computed == (tap,) and stage.student_logits
    assert not stage.differentiates and not stage.terms_need_labels
    distiller = Distiller(student, teacher, [stage]).eval()
    images, _ = batch()
    out = distiller(images)
    expected = F.mse_loss(student(images.flip(3)), teacher(images.flip(3)))
    torch.testing.assert_close(out.terms["mirrored"], 2 * expected, rtol=1e-4, atol=1e-5)
    assert not distiller.targets(images)[0].requires_grad
    out.loss.backward()
    assert student.fc.weight.grad.abs().sum() > 0


def test_several_teachers_share_no_computed_tap() -> None:
    term = Term("mirrored", 1.0, (LOGITS,), (Mirrored("mirrored"),), lambda t: t, F.mse_loss)
    student, teacher = networks()
    with pytest.raises(tutelage.TutelageError, match=r"also reads mirrored"):
        Distiller(student, Teachers([Teacher(teacher), Teacher(teacher)]), [Stage("train", 1, (term,))])


def test_a_gradient_asks_for_labels_without_a_cross_entropy() -> None:
    term = Term("norm", 1.0, (IMAGE_GRADIENT,), (), lambda: torch.empty(0), lambda gradient, _: gradient.norm())
    distiller = Distiller(networks()[0], None, [Stage("train", 1, (term,), task_weight=0.0)])
    images, labels = batch()
    assert distiller(images, labels).loss > 0
    with pytest.raises(tutelage.TutelageError, match="stage 'train' needs labels"):
        distiller(images)


def test_a_method_is_a_name_an_object_or_several_by_name() -> None:
    student, network = networks()
    teacher, kd = Teacher(network), METHODS["kd"](temperature=2.0)
    methods = ["kd+at", kd, {"at": METHODS["at"](), "kd": kd}]
    terms = [[t.name for t in make_stages(m, student, teacher, SIZE, 5)[0].terms] for m in methods]
    ats = ["at.layer1", "at.layer2", "at.layer3"]
    assert terms == [["kd", *ats], ["kd"], [*ats, "kd"]]
    assert Distiller(student, teacher, methods[2], input_size=SIZE).stage.task_weight == pytest.approx(0.1)
    with pytest.raises(tutelage.TutelageError, match="method=kd needs a teacher"):
        Distiller(student, None, kd, input_size=SIZE)


def test_a_teacher_must_be_a_network() -> None:
    with pytest.raises(tutelage.TutelageError, match="expected an nn.Module as teacher, got dict: build"):
        Distiller(networks()[0], {}, "kd", input_size=SIZE)
