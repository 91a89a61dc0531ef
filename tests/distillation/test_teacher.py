"""Teachers: several at once, batch statistics, gradients with respect to the image."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import tutelage
from harness.cases import SIZE, batch, network, networks
from tutelage import distillation
from tutelage.distillation import Teacher, Teachers
from tutelage.errors import TutelageError
from tutelage.terms import IMAGE_GRADIENT, LOGITS


def several() -> Teachers:
    torch.manual_seed(0)
    return Teachers([Teacher(network("wrn_10_1")), Teacher(network("resnet8"))])


def test_several_teachers_give_logits_side_by_side_and_the_mean_probability() -> None:
    teacher = several()
    images, _ = batch()
    teacher.read((), logits=True)
    each = torch.stack([member(images) for member in teacher.members])
    torch.testing.assert_close(teacher.features(images)[LOGITS], each)
    torch.testing.assert_close(teacher(images).softmax(1), each.softmax(2).mean(0))
    assert teacher.name == "wrn_10_1 + resnet8"
    assert [member["name"] for member in teacher.identity()["members"]] == ["wrn_10_1", "resnet8"]


def test_a_classifier_gives_the_same_logits_with_folded_normalizations() -> None:
    images, _ = batch()
    for teacher in (Teacher(network("wrn_10_1")), several()):
        before = {name: value.clone() for name, value in teacher.state_dict().items()}
        torch.testing.assert_close(teacher.classifier()(images), teacher(images), atol=1e-4, rtol=1e-4)
        assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


def test_several_teachers_have_no_attribute_of_one() -> None:
    teachers = several()
    for name in ("network", "normalization", "input_size", "headless", "source", "embedder"):
        assert hasattr(teachers.members[0], name) and not hasattr(teachers, name)


def test_several_teachers_are_still_found_under_their_old_name() -> None:
    with pytest.warns(DeprecationWarning, match="Ensemble is now Teachers"):
        assert distillation.Ensemble is Teachers


@pytest.mark.parametrize("method", ["at", "kd+ofd", "fitnets", "at_gradient"])
def test_several_teachers_have_no_features_to_share(method: str) -> None:
    student, _ = networks()
    with pytest.raises(TutelageError, match="several teachers only work with.*method=kd"):
        tutelage.Distiller(student, several(), method, input_size=SIZE)


def test_every_members_classes_are_checked() -> None:
    student, _ = networks()
    odd = Teachers([Teacher(network("wrn_10_1")), Teacher(tutelage.create_model("resnet8", 7))])
    with pytest.raises(TutelageError, match="7 classes"):
        tutelage.Distiller(student, odd, "kd", input_size=SIZE)


def test_features_in_batch_mode_are_those_of_batch_statistics() -> None:
    teacher = Teacher(network("wrn_10_1"))
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    images, _ = batch(8)
    teacher.read(("bn",), logits=False, mode="batch")
    found = teacher.features(images)["bn"]
    teacher.read(("bn",), logits=False)
    usual = teacher.features(images)["bn"]
    weight, bias = teacher.network.bn.weight, teacher.network.bn.bias
    torch.testing.assert_close(found.mean((0, 2, 3)), bias, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.std((0, 2, 3), correction=0), weight.abs(), atol=1e-3, rtol=1e-2)
    assert not torch.allclose(found, usual, atol=0.1)
    assert not found.requires_grad
    assert all(torch.equal(before[name], value) for name, value in teacher.network.state_dict().items())


def test_the_image_gradient_is_a_difference_quotient() -> None:
    teacher = Teacher(network("wrn_10_1")).to(torch.float64)
    teacher.read((), logits=True, computed=(IMAGE_GRADIENT,))
    images, labels = batch(3, torch.float64)
    labels[1] = -1
    gradient = teacher.features(images, labels)[IMAGE_GRADIENT]
    assert (gradient[1] == 0).all() and not gradient.requires_grad
    assert all(parameter.grad is None for parameter in teacher.parameters())

    def loss(x: torch.Tensor) -> float:
        return F.cross_entropy(teacher(x), labels, ignore_index=-1, reduction="sum").item()

    direction = torch.randn(images.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    step = 1e-6 * direction
    quotient = (loss(images + step) - loss(images - step)) / 2e-6
    assert (gradient * direction).sum().item() == pytest.approx(quotient, rel=1e-4)


def test_bytes_are_differentiated_by_images_between_0_and_1() -> None:
    teacher = Teacher(network("wrn_10_1"))
    teacher.read((), logits=True, computed=(IMAGE_GRADIENT,))
    images, labels = batch(3)
    as_bytes = (images * 255).to(torch.uint8)
    found = teacher.features(as_bytes, labels)[IMAGE_GRADIENT]
    torch.testing.assert_close(found, teacher.features(as_bytes / 255, labels)[IMAGE_GRADIENT])


def test_attention_of_a_transformer_is_differentiated_twice() -> None:
    student = tutelage.create_model("timm/test_vit", 5)
    distiller = tutelage.Distiller(student, network("wrn_10_1"), "at_gradient", input_size=160).train()
    distiller(torch.rand(2, 3, 160, 160), torch.tensor([0, 3])).loss.backward()
    assert student.patch_embed.proj.weight.grad.abs().sum() > 0


def test_a_student_without_second_derivative_is_refused() -> None:
    student = tutelage.create_model("torchvision/mobilenet_v3_small", 5)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    with pytest.raises(TutelageError, match="has no second derivative.*hardsigmoid.*method=at"):
        tutelage.Distiller(student, network("wrn_10_1"), "at_gradient", input_size=32)
    assert student.training and all(p.grad is None and p.requires_grad for p in student.parameters())
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())


def test_a_teacher_put_in_train_mode_stays_in_eval_mode() -> None:
    """As by ``module.train()`` of whatever holds it: its running statistics must not move."""
    teacher = Teacher(network("wrn_10_1"))
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    teacher.train()(torch.rand(4, 3, 16, 16))
    assert not any(module.training for module in teacher.modules())
    assert all(torch.equal(value, before[name]) for name, value in teacher.network.state_dict().items())
