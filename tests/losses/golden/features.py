"""The methods that compare features and embeddings through trained parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn import functional as F

from losses.golden.case import Form, GoldenCase, with_weights
from tutelage import connectors, losses


def vid(case: GoldenCase) -> Tensor:
    student, teacher = case.inputs["student"], case.inputs["teacher"]
    module = connectors.VIDRegressor(student.shape[1:], teacher.shape[1:])
    names = {"log_scale": "rho", **{f"regressor.{place}": f"layers.{2 * place}" for place in range(3)}}
    mean, rho = with_weights(case, module, names, student)
    return losses.vid_loss(mean, teacher, rho, eps=case.params["eps"])


def srrl(case: GoldenCase) -> dict[str, Tensor]:
    student, teacher = case.inputs["student.map"], case.inputs["teacher.map"]
    connector = connectors.srrl_connector(student.shape[1], teacher.shape[1])
    names = {"connector.conv": "0", "connector.bn": "1"}
    connected = with_weights(case, connector, names, student)
    cross_entropy = F.cross_entropy(case.inputs["student.logits"], case.inputs["labels"])
    loss = losses.srrl_loss(connected, teacher, _teachers_classifier(case), weight=case.params["weight"])
    return {"loss": cross_entropy + loss, "loss.ce": cross_entropy}


def srrl_simkd(case: GoldenCase) -> Tensor:
    """The SimKD toolbox connects embeddings instead of maps."""
    student, teacher = case.inputs["student"], case.inputs["teacher"]
    connector = connectors.srrl_connector(student.shape[1], teacher.shape[1])
    names = {"connector.conv": "0", "connector.bn": "1"}
    connected = with_weights(case, connector, names, student[:, :, None, None])
    return losses.srrl_loss(connected, teacher, _teachers_classifier(case))


def _teachers_classifier(case: GoldenCase) -> Callable[[Tensor], Tensor]:
    return partial(F.linear, weight=case.inputs["teacher.fc.weight"], bias=case.inputs["teacher.fc.bias"])


def pefd(case: GoldenCase) -> Tensor:
    student, teacher = case.inputs["student"], case.inputs["teacher"]
    ensemble = connectors.ProjectorEnsemble(student.shape[1], teacher.shape[1], case.params["projectors"])
    return losses.pefd_loss(with_weights(case, ensemble, {"projector": "projectors"}, student), teacher)


def srd(case: GoldenCase) -> dict[str, Tensor]:
    """The official loss pools the maps, weights this part by 2 and adds the KL divergence at temperature 1."""
    weight, bias = case.inputs["projector.weight"], case.inputs["projector.bias"]
    student = F.linear(case.inputs["student.map"].mean((2, 3)), weight, bias)
    options = {"exponent": case.params["exponent"], "bn_eps": case.params["bn_eps"]}
    representation = losses.srd_loss(student, case.inputs["teacher.map"].mean((2, 3)), **options)
    logits = losses.kd_loss(case.inputs["student.logits"], case.inputs["teacher.logits"], case.params["T"])
    return {"loss": 2 * representation + logits, "loss.representation": representation}


FORMS: dict[str, Form] = {
    "vid": vid,
    "srrl": srrl,
    "srrl_simkd": srrl_simkd,
    "pefd": pefd,
    "srd": srd,
}
