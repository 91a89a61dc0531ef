"""Methods that add something to the deployed student: what they need, and how they join in sums."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.cases import CLASSES, SIZE, Case, batch, build, network, networks
from tutelage.distillation import Distiller, Teacher, deploy
from tutelage.errors import TutelageError
from tutelage.methods import list_methods
from tutelage.methods.norm import Norm
from tutelage.methods.simkd import SimKD
from tutelage.models import create_model


def test_the_student_of_simkd_classifies_as_the_teacher_does() -> None:
    student, teacher = networks()
    distiller = Distiller(student, teacher, "simkd", input_size=SIZE)
    assert distiller.student is not student and student.fc.in_features == 64
    assert torch.equal(distiller.student.fc.weight, teacher.fc.weight)
    before = distiller.student.fc.weight.clone()
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.1, weight_decay=0.1)
    distiller.train()(*batch()).loss.backward()
    optimizer.step()
    assert torch.equal(distiller.student.fc.weight, before)


def test_the_classifier_stays_frozen_in_a_sum() -> None:
    for method in ("kd+simkd", "at+simkd", "fitnets+simkd"):
        distiller = build(Case("", method, {}))
        distiller.enter(len(distiller.stages) - 1)
        assert not distiller.student.fc.weight.requires_grad and distiller.student.layer3[1][1].weight.requires_grad


def test_two_methods_that_deploy_something_are_refused() -> None:
    with pytest.raises(TutelageError, match="norm deploys an expansion .* and simkd deploys its projector .* remove"):
        build(Case("", "norm+simkd", {}))


@pytest.mark.parametrize("method", [name for name in list_methods() if name not in ("simkd", "norm")])
def test_other_methods_train_the_student_itself(method: str) -> None:
    student, _ = networks()
    assert deploy(method, student, None, SIZE) is student


@pytest.mark.parametrize(
    ("student", "teacher", "message"),
    [
        ("resnet8", "timm/test_convnext", "needs a teacher that only averages its last map"),
        ("timm/test_convnext", "resnet8", "needs a student that only averages its last map"),
        ("torchvision/mobilenet_v3_small", "resnet8", "reads 1024 channels, and no map"),
        ("timm/test_vit", "resnet8", "needs a student that only averages"),
    ],
)
def test_simkd_says_which_network_it_cannot_use_and_why(student: str, teacher: str, message: str) -> None:
    size = 160 if student == "timm/test_vit" else 64
    with pytest.raises(TutelageError, match=message):
        deploy("simkd", create_model(student, CLASSES), Teacher(create_model(teacher, CLASSES)), size)


def test_simkd_needs_a_teacher_of_the_same_classes() -> None:
    with pytest.raises(TutelageError, match="has 7 classes instead of 5"):
        deploy("simkd", create_model("resnet8", 5), Teacher(create_model("resnet14", 7)), SIZE)


def test_a_student_that_was_extended_is_refused() -> None:
    student, teacher = networks()
    once = deploy("simkd", student, Teacher(teacher), SIZE)
    with pytest.raises(TutelageError, match="CifarResNet already has parts"):
        deploy(Norm(), once, Teacher(teacher), SIZE)


def test_a_map_that_only_a_function_returns_is_projected_before_it() -> None:
    """DenseNet applies a ReLU as a function, which leaves the projector's output as it is."""

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Conv2d(3, 8, 3)
            self.fc = nn.Linear(8, CLASSES)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.fc(torch.relu(self.features(images)).mean((2, 3)))

    teacher = network("wrn_10_2")
    student = deploy(SimKD(), Functional(), Teacher(teacher), SIZE)
    assert isinstance(student.features, nn.Sequential) and student.fc.in_features == 128
    distiller = Distiller(Functional(), teacher, SimKD(), input_size=SIZE)
    assert torch.isfinite(distiller.train()(*batch()).loss)


def test_norm_keeps_the_classifier_and_may_keep_the_logits() -> None:
    student, teacher = networks()
    plain = deploy(Norm(scale=None), student, Teacher(teacher), SIZE)
    assert isinstance(plain.fc, nn.Linear) and plain.layer3[1].expand[0].out_channels == 8 * 128
    scaled = deploy(Norm(), student, Teacher(teacher), SIZE)
    logits = scaled.eval()(batch()[0])
    assert torch.allclose(logits.std(1, correction=0), torch.full((4,), 2.5), rtol=1e-3)


def test_the_weight_of_norm_changes_in_steps() -> None:
    (stage,) = build(Case("", "norm", {}, epochs=24)).stages
    weights = [stage.terms[0].weight_at(epoch / 24, 24) for epoch in (0, 1, 2, 17, 18, 21)]
    assert weights == [0.1, 0.5, 1.0, 1.0, 0.5, 0.1]
    with pytest.raises(ValueError, match="one value more"):
        Norm(steps=(0.5,))
