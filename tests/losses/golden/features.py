"""The methods that compare features and embeddings through trained parts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from losses.golden.case import Form, GoldenCase
from tutelage import connectors, losses


def with_weights(case: GoldenCase, module: nn.Module, names: Mapping[str, str], *inputs: Tensor) -> object:
    """Return the module's output with the case's own weights, given the module's name of each part."""
    state = module.state_dict()
    weights = {}
    for theirs, ours in names.items():
        for name, value in case.inputs.items():
            own = ours + name.removeprefix(theirs)
            if name.startswith(theirs) and own in state:
                weights[own] = value
    return torch.func.functional_call(module.double(), weights, inputs)


def vid(case: GoldenCase) -> Tensor:
    student, teacher = case.inputs["student"], case.inputs["teacher"]
    module = connectors.VIDRegressor(student.shape[1:], teacher.shape[1:])
    names = {"log_scale": "rho", **{f"regressor.{place}": f"layers.{2 * place}" for place in range(3)}}
    mean, rho = with_weights(case, module, names, student)
    return losses.vid_loss(mean, teacher, rho, eps=case.params["eps"])


FORMS: dict[str, Form] = {"vid": vid}
