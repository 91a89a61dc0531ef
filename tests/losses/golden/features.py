"""The methods that compare features and embeddings through trained parts."""

from __future__ import annotations

from torch import Tensor

from losses.golden.case import Form, GoldenCase, with_weights
from tutelage import connectors, losses


def vid(case: GoldenCase) -> Tensor:
    student, teacher = case.inputs["student"], case.inputs["teacher"]
    module = connectors.VIDRegressor(student.shape[1:], teacher.shape[1:])
    names = {"log_scale": "rho", **{f"regressor.{place}": f"layers.{2 * place}" for place in range(3)}}
    mean, rho = with_weights(case, module, names, student)
    return losses.vid_loss(mean, teacher, rho, eps=case.params["eps"])


FORMS: dict[str, Form] = {"vid": vid}
