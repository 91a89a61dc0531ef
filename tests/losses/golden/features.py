"""The methods that compare features and embeddings through trained parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
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


def ft(case: GoldenCase) -> Tensor:
    return losses.ft_loss(*_factors(case, norm=False))


def ft_paraphraser(case: GoldenCase) -> Tensor:
    teacher = case.inputs["teacher"]
    reconstruction = with_weights(case, _Reconstruction(_paraphraser(case)), _names("paraphraser", "whole."), teacher)
    return losses.ft_paraphraser_loss(reconstruction, teacher)


def ft_repdistiller(case: GoldenCase) -> Tensor:
    return losses.ft_loss(*_factors(case, norm=True), form="repdistiller")


class _Reconstruction(nn.Module):
    def __init__(self, whole: connectors.Paraphraser) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, features: Tensor) -> Tensor:
        return self.whole.reconstruct(features)


def _factors(case: GoldenCase, norm: bool) -> tuple[Tensor, Tensor]:
    """The factors of student and teacher."""
    student, teacher = case.inputs["student"], case.inputs["teacher"]
    paraphraser = _paraphraser(case)
    factor = with_weights(case, paraphraser, _names("paraphraser"), teacher)
    places = range(3)
    step = 3 if norm else 2
    names = {f"translator.conv{i}": f"{step * i}" for i in places}
    names |= {f"translator.bn{i}": f"{step * i + 1}" for i in places if norm}
    module = connectors.translator(student.shape[1], factor.shape[1], norm=norm)
    return with_weights(case, module, names, student), factor


def _paraphraser(case: GoldenCase) -> connectors.Paraphraser:
    return connectors.Paraphraser(case.inputs["teacher"].shape[1], k=case.params["k"])


def _names(theirs: str, prefix: str = "") -> dict[str, str]:
    convolutions = {f"{theirs}.conv{i}": f"{prefix}encoder.{2 * i}" for i in range(3)}
    return convolutions | {f"{theirs}.deconv{i}": f"{prefix}decoder.{2 * i}" for i in range(3)}


def ab(case: GoldenCase) -> dict[str, Tensor]:
    """The official weights: 3/1000 for the deepest tap, half of that for the one before, and so on."""
    students, teachers = case.numbered("student"), case.numbered("teacher")
    parts = {}
    for place, (student, teacher) in enumerate(zip(students, teachers)):
        connector = connectors.ab_connector(student.shape[1:], teacher.shape[1:])
        names = {f"connector.{place}.conv": "0", f"connector.{place}.bn": "1"}
        connected = with_weights(case, connector, names, student)
        weight = 3 / 1000 / 2 ** (len(students) - 1 - place)
        parts[f"loss.tap{place}"] = weight * losses.ab_loss(connected, teacher, margin=case.params["margin"])
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}


FORMS: dict[str, Form] = {
    "vid": vid,
    "srrl": srrl,
    "srrl_simkd": srrl_simkd,
    "pefd": pefd,
    "srd": srd,
    "ft": ft,
    "ft_paraphraser": ft_paraphraser,
    "ft_repdistiller": ft_repdistiller,
    "ab": ab,
}
