"""The distiller in somebody's own loop."""

from __future__ import annotations

import torch
from torch import nn

import tutelage
from harness.cases import CLASSES, SIZE, batch, networks
from tutelage.distillation import native_size
from tutelage.losses import kd_loss


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
