"""The methods that compare relations: between the samples of a batch, or between the channels of a map."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from losses.golden.case import Form, GoldenCase, with_weights
from tutelage import connectors, losses
from tutelage.losses.shapes import unit_norm


def rkd(case: GoldenCase) -> dict[str, Tensor]:
    pair = case.inputs["student"], case.inputs["teacher"]
    values = {
        "loss": losses.rkd_loss(*pair, **case.params),
        "loss.distance": losses.rkd_loss(*pair, w_d=1.0, w_a=0.0),
        "loss.angle": losses.rkd_loss(*pair, w_d=0.0, w_a=1.0),
    }
    values["loss"] = values["loss"] + case.params["w_a"] * _at_repeated_samples(*pair)
    return {name: values[name] for name in case.losses}  # some cases have no parts


def _at_repeated_samples(student: Tensor, teacher: Tensor) -> Tensor:
    differences = student[None] - student[:, None]
    directions, theirs = (unit_norm((x[None] - x[:, None]).detach()) for x in (student, teacher))
    slopes = (directions @ directions.mT - theirs @ theirs.mT).clamp(-1, 1)
    return normalized_nothing(differences, 2 * slopes @ directions / len(student) ** 3)


def normalized_nothing(vectors: Tensor, slopes: Tensor) -> Tensor:
    """Return 0 with the gradient that only the official code has at vectors of zeros, given that of their directions.

    It divides vectors shorter than 1e-12 by 1e-12, so their gradient is 1e12 times too large. Ours is 0.
    """
    return ((vectors == 0).all(-1, keepdim=True) * vectors * 1e12 * slopes.detach()).sum()


def sp(case: GoldenCase) -> Tensor:
    student, teacher = case.inputs["student"], case.inputs["teacher"]
    products, theirs = (x.flatten(1) @ x.flatten(1).mT for x in (student, teacher))
    slopes = 2 * (unit_norm(products) - unit_norm(theirs)) / len(student) ** 2
    return losses.sp_loss(student, teacher) + normalized_nothing(products, slopes)


def pkt(case: GoldenCase) -> Tensor:
    return losses.pkt_loss(case.inputs["student"], case.inputs["teacher"])


def cc(case: GoldenCase) -> Tensor:
    embedded = linear(case, "embed_student", "student"), linear(case, "embed_teacher", "teacher")
    return losses.cc_match(*embedded, form="consecutive")


def cc_kernel(case: GoldenCase) -> Tensor:
    options = {"gamma": case.params["gamma"], "order": case.params["P_order"]}
    return losses.cc_loss(case.inputs["student"], case.inputs["teacher"], **options)


def linear(case: GoldenCase, layer: str, features: str) -> Tensor:
    """Apply the case's own linear layer to one of its inputs."""
    return F.linear(case.inputs[features], case.inputs[f"{layer}.weight"], case.inputs[f"{layer}.bias"])


def crd(case: GoldenCase) -> dict[str, Tensor]:
    """Two steps; the banks before the second are the official ones after the first (see also test_crd.py)."""
    options = {"n_data": case.params["n_data"], "temperature": case.params["T"]}
    log_z = torch.stack([case.inputs["Z_student"], case.inputs["Z_teacher"]]).log()
    parts = {}
    for step, banks in ((1, "bank_{}"), (2, "bank_{}_after.1")):
        student = unit_norm(linear(case, "embed_student", f"student.{step}"))
        teacher = unit_norm(linear(case, "embed_teacher", f"teacher.{step}"))
        contrast = case.inputs[f"contrast.{step}"]
        of_student = losses.crd_similarities(student, case.inputs[banks.format("teacher")], contrast)
        of_teacher = losses.crd_similarities(teacher, case.inputs[banks.format("student")], contrast)
        parts[f"loss.step{step}"] = losses.crd_loss(of_student, of_teacher, log_z, **options)
    return {"loss": parts["loss.step1"] + parts["loss.step2"], **parts}


def ickd(case: GoldenCase) -> Tensor:
    student, teacher = case.inputs["student"], case.inputs["teacher"]
    connector = connectors.projector(student.shape[1:], teacher.shape[1:], relu=False)
    names = {"connector.conv": "0", "connector.bn": "1"}
    return losses.ickd_loss(with_weights(case, connector, names, student), teacher)


def kdsvd(case: GoldenCase) -> Tensor:
    """The value depends on the signs of the teacher's vectors, which are those of the file."""
    targets = [case.inputs[f"teacher.v.{i}"] * case.inputs[f"teacher.s.{i}"][:, None] for i in range(3)]
    pairs = zip(pairwise(case.numbered("student")), pairwise(targets))
    return torch.stack([losses.kdsvd_match(*students, *theirs) for students, theirs in pairs]).sum()


def itrd(case: GoldenCase) -> dict[str, Tensor]:
    """The embedding is used for the mutual information only if the widths differ."""
    student, teacher, embedded = case.inputs["student"], case.inputs["teacher"], linear(case, "embed", "student")
    correlation = losses.itrd_correlation_loss(embedded, teacher, alpha_it=case.params["alpha_it"])
    mutual = losses.itrd_mutual_loss(student if student.shape == teacher.shape else embedded, teacher)
    loss = case.params["lambda_corr"] * correlation + case.params["lambda_mutual"] * mutual
    return {"loss": loss, "loss.correlation": correlation, "loss.mutual": mutual}


FORMS: dict[str, Form] = {
    "rkd": rkd,
    "sp": sp,
    "pkt": pkt,
    "cc": cc,
    "cc_kernel": cc_kernel,
    "crd": crd,
    "ickd": ickd,
    "kdsvd": kdsvd,
    "itrd": itrd,
}
