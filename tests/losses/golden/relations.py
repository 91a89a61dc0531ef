"""The methods that compare relations: between the samples of a batch, or between the channels of a map."""

from __future__ import annotations

from torch import Tensor

from losses.golden.case import Form, GoldenCase
from tutelage import losses
from tutelage.losses.shapes import unit_norm


def rkd(case: GoldenCase) -> dict[str, Tensor]:
    pair = case.inputs["student"], case.inputs["teacher"]
    values = {
        "loss": losses.rkd_loss(*pair, **case.params),
        "loss.distance": losses.rkd_loss(*pair, w_d=1.0, w_a=0.0),
        "loss.angle": losses.rkd_loss(*pair, w_d=0.0, w_a=1.0),
    }
    values["loss"] = values["loss"] + case.params["w_a"] * _directions_of_nothing(*pair)
    return {name: values[name] for name in case.losses}  # some cases have no parts


def _directions_of_nothing(student: Tensor, teacher: Tensor) -> Tensor:
    """Return 0 with the gradient that only the official angles have at repeated samples.

    The official code divides differences shorter than 1e-12 by 1e-12, so the gradient of a difference of 0 is 1e12
    times too large (1.3e11 in the stored case). Our loss gives such a difference no direction and no gradient.
    """
    differences = student[None] - student[:, None]
    directions, theirs = (unit_norm((x[None] - x[:, None]).detach()) for x in (student, teacher))
    slopes = (directions @ directions.mT - theirs @ theirs.mT).clamp(-1, 1)
    repeated = (differences == 0).all(2, keepdim=True)
    return 2 * (repeated * differences * 1e12 * (slopes @ directions)).sum() / len(student) ** 3


FORMS: dict[str, Form] = {"rkd": rkd}
