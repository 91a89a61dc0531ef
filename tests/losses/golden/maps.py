"""Methods that compare feature maps."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from losses.golden.case import Form, GoldenCase
from losses.golden.seed import batch_norm
from tutelage import connectors, losses, models
from tutelage.losses.sdd import LogitLoss


def call(case: GoldenCase, module: nn.Module, names: dict[str, str], *inputs: Any, **options: Any) -> Any:
    """Call a module in training mode with the case's parameters: ``names`` maps its prefixes to the case's."""
    parameters = {}
    for name, own in module.double().named_parameters():
        prefix = max((prefix for prefix in names if name.startswith(prefix)), key=len)
        parameters[name] = case.inputs[names[prefix] + name.removeprefix(prefix)]
        assert parameters[name].shape == own.shape, name
    return functional_call(module, parameters, inputs, options)


def hcl(case: GoldenCase) -> Tensor:
    return losses.reviewkd_loss(case.numbered("student"), case.numbered("teacher"))


def reviewkd(case: GoldenCase) -> Tensor:
    students, teachers = case.numbered("student"), case.numbered("teacher")
    connector = connectors.ReviewKDConnector([s.shape[1:] for s in students], [t.shape[1:] for t in teachers])
    names = {}
    for level in range(len(students)):
        names[f"levels.{level}.attention"] = f"abf.{level}.attention"
        for part in ("reduce", "expand"):
            names[f"levels.{level}.{part}.0"] = f"abf.{level}.{part}.conv"
            names[f"levels.{level}.{part}.1"] = f"abf.{level}.{part}.bn"
    fused = call(case, connector, names, *students)
    for level, features in enumerate(fused):
        assert torch.allclose(features, case.inputs[f"fused.{level}"], rtol=1e-9, atol=1e-12)
    return losses.reviewkd_loss(fused, teachers)


def simkd(case: GoldenCase) -> Tensor:
    student, teacher = case.inputs["student"], case.inputs["teacher"]
    size = (teacher.shape[2], teacher.shape[3])
    projector = models.SimKDProjector(student.shape[1], teacher.shape[1], size, case.params["factor"])
    names = {}
    for layer in range(3):
        names[f"{3 * layer + 1}."] = f"projector.{layer}.conv."
        names[f"{3 * layer + 2}."] = f"projector.{layer}.bn."
    projected = call(case, projector, names, student)
    assert torch.allclose(projected, case.inputs["projected"], rtol=1e-9, atol=1e-12)
    return losses.simkd_loss(projected, teacher)


def cat_kd(case: GoldenCase) -> dict[str, Tensor]:
    student, teacher, params = case.inputs["student.class_map"], case.inputs["teacher.class_map"], case.params
    ce = params["ce"] * F.cross_entropy(student.mean((2, 3)), case.inputs["labels"])
    options = {"resolution": params["resolution"], "normalize": params["normalise"]}
    cat = params["beta"] * losses.cat_kd_loss(student, teacher, **options)
    return {"loss": ce + cat, "loss.ce": ce, "loss.cat": cat}


def sdd(case: GoldenCase, loss: LogitLoss) -> Tensor:
    """The official windows are pooled from a 4 x 4 grid."""
    logits = {}
    for network in ("student", "teacher"):
        features, weight, bias = (case.inputs[f"{network}.{name}"] for name in ("map", "fc.weight", "fc.bias"))
        logits[network] = losses.region_logits(features, weight, bias, sizes=json.loads(case.params["M"]), grid=4)
        assert torch.allclose(logits[network].mT, case.inputs[f"{network}.regions"], rtol=1e-9, atol=1e-12)
    return losses.sdd_loss(logits["student"], logits["teacher"], case.inputs["labels"], loss=loss)


def sdd_kd(case: GoldenCase) -> Tensor:
    return sdd(case, lambda student, teacher, _: losses.kd_loss(student, teacher, case.params["T"]))


def sdd_dkd(case: GoldenCase) -> Tensor:
    options = {"alpha": case.params["alpha"], "beta": case.params["beta"], "temperature": case.params["T"]}
    return sdd(case, partial(losses.dkd_loss, **options))


def sdd_nkd(case: GoldenCase) -> Tensor:
    return sdd(case, partial(losses.sdd_nkd_loss, temperature=case.params["T"], gamma=case.params["gamma"]))


def norm(case: GoldenCase) -> dict[str, Tensor]:
    inputs, params = case.inputs, case.params
    student, teacher = inputs["student.map"], inputs["teacher.map"]
    expansion = models.NormExpansion(student.shape[1], teacher.shape[1], params["N"])
    names = {}
    for part in ("expand", "reduce"):
        names[f"{part}.0"] = f"{part}.conv"
        names[f"{part}.1"] = f"{part}.bn"
    restored = call(case, expansion, names, student)
    expanded = call(case, expansion.expand, {"0": "expand.conv", "1": "expand.bn"}, student)
    logits = F.linear(restored.mean((2, 3)), inputs["student.fc.weight"], inputs["student.fc.bias"])
    assert torch.allclose(logits, inputs["student.logits"], rtol=1e-9, atol=1e-12)
    ours = losses.norm_logits(logits, scale=params["ceta"])
    theirs = losses.norm_logits(inputs["teacher.logits"], scale=params["ceta"])
    parts = {
        "loss.ce": F.cross_entropy(ours, inputs["labels"]),
        "loss.kl": losses.kd_loss(ours, theirs, params["T"]),
        "loss.norm": losses.norm_loss(expanded, teacher),
    }
    weights = (params["gamma"], params["alpha"], params["step_weight"] * params["beta"])
    return {"loss": sum(weight * part for weight, part in zip(weights, parts.values())), **parts}


def mgd(case: GoldenCase) -> Tensor:
    student, teacher = case.inputs["student"], case.inputs["teacher"]
    generator = connectors.MGDGenerator(student.shape[1], teacher.shape[1])
    names = {"align.": "align.", "generator.0.": "generator.0.", "generator.2.": "generator.1."}
    return case.params["alpha"] * losses.mgd_loss(call(case, generator, names, student, case.inputs["mask"]), teacher)


def connected(case: GoldenCase, student: Tensor) -> Tensor:
    """The official connector of WKD has a bias, which the batch normalization after it takes out again."""
    convolved = F.conv2d(student, case.inputs["connector.conv.weight"], case.inputs["connector.conv.bias"])
    return F.relu(batch_norm(case, "connector.bn", convolved))


def wkd_f(case: GoldenCase) -> dict[str, Tensor]:
    maps = connected(case, case.inputs["student"]), case.inputs["teacher"]
    ratio, options = case.params["ratio"], {"grid": case.params["grid"], "eps": case.params["eps"]}
    loss, of_deviations = (losses.wkd_f_loss(*maps, ratio=value, **options) for value in (ratio, 0.0))
    return {"loss": loss, "loss.mean": (loss - of_deviations) / ratio, "loss.std": of_deviations}


def wkd_total(case: GoldenCase) -> dict[str, Tensor]:
    params, (student, teacher, labels) = case.params, logits_and_labels(case)
    decayed = max(0, params["epoch"] - params["decay_from"]) / (params["epochs"] - params["decay_from"])
    factor = (1 + math.cos(math.pi * decayed)) / 2
    of_logits = losses.wkd_l_loss(
        student,
        teacher,
        labels,
        cost=losses.wkd_l_cost(case.inputs["teacher.fc.weight"], sharpen=params["sharpen"]),
        weight=factor * params["logit_weight"],
        temperature=params["T"],
        reg=params["reg"],
        iterations=params["iters"],
    )
    maps = connected(case, case.inputs["student.map"]), case.inputs["teacher.map"]
    of_maps = losses.wkd_f_loss(*maps, ratio=params["ratio"], grid=params["grid"], eps=params["eps"])
    ce = params["ce"] * F.cross_entropy(student, labels)
    kd = of_logits + factor * params["feature_weight"] * of_maps
    return {"loss": ce + kd, "loss.ce": ce, "loss.kd": kd}


def logits_and_labels(case: GoldenCase) -> tuple[Tensor, Tensor, Tensor]:
    return case.inputs["student.logits"], case.inputs["teacher.logits"], case.inputs["labels"]


def semckd(case: GoldenCase) -> Tensor:
    students, teachers = case.numbered("student"), case.numbered("teacher")
    shapes = [[maps.shape[1:] for maps in network] for network in (students, teachers)]
    connector = connectors.SemCKDConnector(*shapes, batch_size=len(students[0]), factor=case.params["factor"])
    names = {}
    for ours, theirs, count in (("queries", "query", len(students)), ("keys", "key", len(teachers))):
        for layer in range(count):
            names |= {f"{ours}.{layer}.{2 * part}.": f"{theirs}.{layer}.{part}." for part in range(2)}
    parts = ["0.conv", "0.bn", "", "1.conv", "1.bn", "", "2.conv"]
    for i in range(len(students)):
        for j in range(len(teachers)):
            place = i * len(teachers) + j
            names |= {f"projections.{place}.{n}.": f"regressor.{i}.{j}.{part}." for n, part in enumerate(parts)}
    projected, attention = call(case, connector, names, students, teachers)
    assert torch.allclose(attention, case.inputs["attention"], rtol=1e-9, atol=1e-12)
    return losses.semckd_loss(projected, teachers, attention)


FORMS: dict[str, Form] = {
    "hcl": hcl,
    "reviewkd": reviewkd,
    "simkd": simkd,
    "cat_kd": cat_kd,
    "sdd_kd": sdd_kd,
    "sdd_dkd": sdd_dkd,
    "sdd_nkd": sdd_nkd,
    "norm": norm,
    "mgd": mgd,
    "wkd_f": wkd_f,
    "wkd_total": wkd_total,
    "semckd": semckd,
}
