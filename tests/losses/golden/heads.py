"""Methods that train further heads of the student, or have no teacher."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from losses.golden.case import Form, GoldenCase
from losses.golden.maps import call, logits_and_labels
from tutelage import connectors, losses


def vkd(case: GoldenCase) -> dict[str, Tensor]:
    embedding = F.linear(case.inputs["student.tokens"].mean(1), case.inputs["projector.weight"])
    student, teacher, labels = logits_and_labels(case)
    parts = {
        "loss.ce": F.cross_entropy(student, labels),
        "loss.kl": case.params["gamma"]
        * losses.kd_loss(case.inputs["student.distillation"], teacher, case.params["T"]),
        "loss.representation": case.params["alpha"]
        * losses.vkd_loss(embedding, case.inputs["teacher.map"].mean((2, 3))),
    }
    return {"loss": sum(parts.values()), **parts}


def ofa(case: GoldenCase) -> Tensor:
    logits = case.inputs["student"], case.inputs["teacher"]
    return losses.ofa_loss(*logits, case.inputs["labels"], eps=case.params["eps"], temperature=case.params["T"])


def ofa_exits(case: GoldenCase) -> dict[str, Tensor]:
    inputs, params, stages = case.inputs, case.params, case.params["stages"]
    student, teacher, labels = logits_and_labels(case)
    maps = [inputs[f"student.map.{stage}"] for stage in stages]
    width = max(params["dim_student"], params["dim_teacher"])
    exits = connectors.OFAExits([m.shape[1] for m in maps], student.shape[1], width, stages)
    names = {}
    for place, stage in enumerate(stages):
        names |= {f"exits.{place}.0.": f"exit.{stage}.conv.", f"exits.{place}.2.": f"exit.{stage}.fc."}
        for half in range(2 * (4 - stage)):
            for layer, part in enumerate(("depthwise", "pointwise", "bn")):
                theirs = f"exit.{stage}.block.{half // 2}.{half % 2}.{part}."
                names[f"exits.{place}.0.{4 * half + layer}."] = theirs
    logits = call(case, exits, names, *maps)
    for stage, own in zip(stages, logits):
        assert torch.allclose(own, inputs[f"exit.{stage}.logits"], rtol=1e-9, atol=1e-12)
    *of_exits, of_network = [
        losses.ofa_loss(own, teacher, labels, eps=eps, temperature=params["T"])
        for own, eps in zip((*logits, student), params["eps"])
    ]
    ce = F.cross_entropy(student, labels)
    parts = {"loss.gt": ce, "loss.kd": of_network, "loss.ofa": torch.stack(of_exits).sum()}
    return {"loss": sum(parts.values()), **parts}


def deit(case: GoldenCase) -> Tensor:
    inputs, params = case.inputs, case.params
    of_head = inputs["student.distillation"], inputs["teacher"]
    if params["type"] == "hard":
        distillation = losses.deit_loss(*of_head)
    else:
        distillation = losses.kd_loss(*of_head, params["tau"]) / of_head[0].shape[1]
    ce = F.cross_entropy(inputs["student"], inputs["labels"])
    return (1 - params["alpha"]) * ce + params["alpha"] * distillation


def tfkd_reg(case: GoldenCase) -> Tensor:
    student, labels, params = case.inputs["student"], case.inputs["labels"], case.params
    weight = params["alpha"] * params["multiplier"] / student.shape[1]
    ce = F.cross_entropy(student, labels)
    return (1 - params["alpha"]) * ce + weight * losses.tf_kd_loss(student, labels, temperature=params["T"])


def tfkd_self(case: GoldenCase) -> Tensor:
    student, labels, params = case.inputs["student"], case.inputs["labels"], case.params
    weight = params["alpha"] * params["multiplier"] / student.shape[1]
    ce = F.cross_entropy(student, labels)
    return (1 - params["alpha"]) * ce + weight * losses.kd_loss(student, case.inputs["teacher"], params["T"])


def vitkd(case: GoldenCase) -> Tensor:
    inputs, params = case.inputs, case.params
    early, last = inputs["student.low"], inputs["student.high"]
    connector = connectors.ViTKDConnector(last.shape[2], inputs["teacher.high"].shape[2], early_layers=early.shape[1])
    names = {
        "generator.0.": "generator.0.",
        "generator.2.": "generator.1.",
        "align": "align",
        "mask_token": "mask_token",
    }
    low, high, mask = call(case, connector, names, *early.unbind(1), last, mask=inputs["mask"].bool())
    weights = {name: params[name] for name in ("alpha", "beta", "ratio")}
    return losses.vitkd_loss(low, high, mask, inputs["teacher.low"], inputs["teacher.high"], **weights)


def uskd(case: GoldenCase) -> Tensor:
    inputs = case.inputs
    weak = F.linear(inputs["middle"], inputs["weak.weight"], inputs["weak.bias"])
    labels = inputs["labels"] if "labels" in inputs else inputs["labels.soft"]
    return losses.uskd_loss(inputs["student"], weak, labels, **case.params)


FORMS: dict[str, Form] = {
    "vkd": vkd,
    "ofa": ofa,
    "ofa_exits": ofa_exits,
    "deit": deit,
    "uskd": uskd,
    "vitkd": vitkd,
    "tfkd_reg": tfkd_reg,
    "tfkd_self": tfkd_self,
}
