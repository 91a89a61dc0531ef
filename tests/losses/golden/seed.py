"""KD and the methods of the seed documents."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor
from torch.nn import functional as F

from losses.golden.case import Form, GoldenCase
from tutelage import losses


def kd(case: GoldenCase) -> Tensor:
    return losses.kd_loss(case.inputs["student"], case.inputs["teacher"], case.params["T"])


def at(case: GoldenCase) -> Tensor:
    return losses.attention_loss(case.inputs["student"], case.inputs["teacher"])


def nst(case: GoldenCase) -> Tensor:
    return losses.nst_loss(case.inputs["student"], case.inputs["teacher"])


def fsp(case: GoldenCase) -> dict[str, Tensor]:
    pairs = zip(pairwise(case.numbered("student")), pairwise(case.numbered("teacher")))
    parts = [losses.fsp_loss(ours, theirs, form="mean", pool="avg") for ours, theirs in pairs]
    return {"loss": sum(parts[1:], parts[0]), **{f"loss.pair{place}": part for place, part in enumerate(parts)}}


def fitnets(case: GoldenCase) -> Tensor:
    connected = _regressed(case)
    return losses.hint_loss(connected, case.inputs["teacher"])


def _regressed(case: GoldenCase) -> Tensor:
    """The benchmark's connector: convolution, batch normalization, ReLU."""
    weight, bias = case.inputs["connector.conv.weight"], case.inputs["connector.conv.bias"]
    kind, student = case.params["connector"], case.inputs["student"]
    if kind == "transposed":
        convolved = F.conv_transpose2d(student, weight, bias, stride=2, padding=1)
    else:
        strided = kind == "stride 2"
        convolved = F.conv2d(student, weight, bias, stride=2 if strided else 1, padding=1 if strided else 0)
    return F.relu(batch_norm(case, "connector.bn", convolved))


def batch_norm(case: GoldenCase, name: str, features: Tensor) -> Tensor:
    """Normalize by the batch, with the case's own weight and bias."""
    return F.batch_norm(features, None, None, case.inputs[f"{name}.weight"], case.inputs[f"{name}.bias"], training=True)


def ofd(case: GoldenCase) -> Tensor:
    """The official sum is over the batch, and its margins are rounded to float32."""
    students, teachers = case.numbered("student"), case.numbered("teacher")
    total = students[0].new_zeros(())
    for level, (student, teacher) in enumerate(zip(students, teachers)):
        connected = F.conv2d(student, case.inputs[f"connector.{level}.conv.weight"])
        margin = case.inputs[f"margin.{level}"].flatten()
        loss = losses.ofd_loss(batch_norm(case, f"connector.{level}.bn", connected), teacher, margin)
        total = total + len(student) * loss / 2 ** (len(students) - 1 - level)
    return total


FORMS: dict[str, Form] = {"kd": kd, "at": at, "nst": nst, "fsp": fsp, "fitnets": fitnets, "ofd": ofd}
