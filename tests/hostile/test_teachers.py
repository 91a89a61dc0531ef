"""Teachers that give something else than logits: read by a rule that is documented, or refused before any training."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tutelage import TutelageError, create_model
from tutelage.distillation import Distiller, Teacher

IMAGES = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3])
INFINITY = float("inf")


class Wrapped(nn.Module):
    """A network, and what is made of its logits."""

    def __init__(self, change: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = create_model("resnet8", 5)
        self.change = change

    def forward(self, images: Tensor) -> Any:
        return self.change(self.inner(images), images)


def distiller(teacher: Any, method: str = "kd") -> Distiller:
    torch.manual_seed(1)
    return Distiller(create_model("resnet8", 5), teacher, method, input_size=16)


READ: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "a tensor": lambda logits, images: logits,
    "a tuple": lambda logits, images: (logits, logits + 1),
    "a list": lambda logits, images: [logits, images],
    "a tuple in a tuple": lambda logits, images: ((logits,), images),
    "a dictionary with logits": lambda logits, images: {"aux": images, "logits": logits},
    "a dictionary of one": lambda logits, images: {"out": logits},
    "an object with logits": lambda logits, images: SimpleNamespace(aux=images, logits=logits),
    "logits in half precision": lambda logits, images: logits.half(),
    "logits in bfloat16": lambda logits, images: logits.bfloat16(),
    "logits in double precision": lambda logits, images: logits.double(),
}


@pytest.mark.parametrize("name", READ)
def test_what_counts_is_the_logits(name: str) -> None:
    teacher = Wrapped(READ[name])
    expected = distiller(Wrapped(READ["a tensor"]))(IMAGES, LABELS)
    given = distiller(teacher)(IMAGES, LABELS)
    assert torch.allclose(given.terms["kd"].float(), expected.terms["kd"], atol=2e-2)
    assert torch.allclose(Teacher(teacher)(IMAGES).float(), expected_logits(), atol=2e-2)


def expected_logits() -> Tensor:
    return Teacher(Wrapped(READ["a tensor"]))(IMAGES)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("method", ["kd", "at", "fitnets"])
def test_a_teacher_in_another_precision_is_given_images_in_it(dtype: torch.dtype, method: str) -> None:
    torch.manual_seed(0)
    network = create_model("resnet8", 5)
    expected = distiller(network, method)(IMAGES, LABELS)
    given = distiller(network.to(dtype), method)(IMAGES, LABELS)
    given.loss.backward()
    assert given.loss.isfinite() and torch.allclose(given.loss.float(), expected.loss, rtol=0.05)


def test_a_class_that_is_ruled_out_is_allowed() -> None:
    """A logit of minus infinity is a probability of nothing."""
    ruled_out = Wrapped(lambda logits, images: logits.index_fill(1, torch.tensor([4]), -INFINITY))
    assert distiller(ruled_out)(IMAGES, LABELS).loss.isfinite()


REFUSED: dict[str, tuple[Callable[[Tensor, Tensor], Any], str]] = {
    "nothing": (lambda logits, images: None, "returned NoneType"),
    "an empty tuple": (lambda logits, images: (), "returned tuple"),
    "an empty dictionary": (lambda logits, images: {}, "returned dict"),
    "a word": (lambda logits, images: "cat", "returned str"),
    "a number": (lambda logits, images: 3, "returned int"),
    "a word first": (lambda logits, images: ("cat", logits), "returned str"),
    "predictions": (lambda logits, images: logits.argmax(1), "got torch.int64"),
    "whole numbers": (lambda logits, images: (100 * logits).long(), "got torch.int64"),
    "complex numbers": (lambda logits, images: logits.to(torch.complex64), "got torch.complex64"),
    "more classes": (lambda logits, images: torch.cat([logits, logits], 1), "has 10 classes, the data have 5"),
    "fewer classes": (lambda logits, images: logits[:, :3], "has 3 classes, the data have 5"),
    "a map of logits": (lambda logits, images: logits[:, :, None, None], "has no classifier"),
    "a row of logits": (lambda logits, images: logits.flatten(), "has no classifier"),
    "not a number": (lambda logits, images: logits * float("nan"), "returns NaN or infinity"),
    "one that is not a number": (
        lambda logits, images: logits + torch.tensor([0, 0, 0, 0, float("nan")]),
        "returns NaN",
    ),
    "infinity": (lambda logits, images: logits + INFINITY, "returns NaN or infinity"),
    "an overflow of half precision": (lambda logits, images: (1e6 * logits.abs() + 1e5).half(), "above 65,504"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_logits_is_refused_before_training(name: str) -> None:
    change, expected = REFUSED[name]
    with pytest.raises(TutelageError) as error:
        distiller(Wrapped(change))
    assert expected in str(error.value), error.value


@pytest.mark.parametrize("count", [1, 8])
def test_a_teacher_of_another_batch_size_is_refused(count: int) -> None:
    teacher = Wrapped(lambda logits, images: torch.cat([logits, logits])[:count])
    with pytest.raises(TutelageError, match=f"the student's batch has 4 samples and the teacher's has {count}"):
        distiller(teacher)(IMAGES, LABELS)


NO_NETWORKS = ["resnet8", 3, {"a": 1}, lambda images: images, torch.zeros(3)]


@pytest.mark.parametrize("teacher", NO_NETWORKS, ids=lambda teacher: type(teacher).__name__)
def test_what_is_no_network_is_refused(teacher: Any) -> None:
    with pytest.raises(TutelageError, match="expected an nn.Module as teacher"):
        distiller(teacher)


@pytest.mark.parametrize("method", ["kd", "at", "fitnets"])
@pytest.mark.parametrize("where", ["conv1.weight", "bn1.running_mean", "fc.bias"])
def test_a_teacher_whose_weights_are_not_numbers_is_refused(method: str, where: str) -> None:
    network = create_model("resnet8", 5)
    network.state_dict()[where].view(-1)[0] = float("nan")
    with pytest.raises(TutelageError, match=rf"the teacher's weights contain NaN or are not loaded \({where}\)"):
        distiller(network, method)


def test_a_teacher_without_weights_is_refused() -> None:
    with pytest.raises(TutelageError, match="contain NaN or are not loaded"):
        distiller(create_model("resnet8", 5).to("meta"))


def test_a_teacher_that_divides_by_the_images_deviation_is_not_mistaken_for_a_broken_one() -> None:
    class Standardising(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = create_model("resnet8", 5)

        def forward(self, images: Tensor) -> Any:
            return self.inner((images - images.mean((1, 2, 3), True)) / images.std((1, 2, 3), keepdim=True))

    assert distiller(Standardising())(IMAGES, LABELS).loss.isfinite()
