"""The methods on logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from losses.golden.case import Form, GoldenCase
from tutelage import connectors, losses


def of_logits(case: GoldenCase) -> tuple[Tensor, Tensor]:
    return case.inputs["student"], case.inputs["teacher"]


def of_labels(case: GoldenCase) -> tuple[Tensor, Tensor, Tensor]:
    return *of_logits(case), case.inputs["labels"]


def whole(case: GoldenCase, loss: Tensor) -> dict[str, Tensor]:
    """With the cross-entropy, and the warm-up of the authors: epochs count from 1."""
    ce = case.params["ce"] * F.cross_entropy(case.inputs["student"], case.inputs["labels"])
    kd = min(case.params["epoch"] / case.params["warmup"], 1.0) * loss
    return {"loss": ce + kd, "loss.ce": ce, "loss.kd": kd}


def lskd_kd(case: GoldenCase) -> Tensor:
    return losses.kd_loss(*of_logits(case), case.params["T"], standardize=True)


def dkd(case: GoldenCase, standardize: bool = False) -> Tensor:
    alpha, beta, temperature = (case.params[name] for name in ("alpha", "beta", "T"))
    return losses.dkd_loss(*of_labels(case), alpha=alpha, beta=beta, temperature=temperature, standardize=standardize)


def dkd_total(case: GoldenCase) -> dict[str, Tensor]:
    return whole(case, dkd(case))


def lskd_dkd(case: GoldenCase) -> Tensor:
    return dkd(case, standardize=True)


def dist(case: GoldenCase) -> Tensor:
    beta, gamma, temperature = (case.params[name] for name in ("beta", "gamma", "tau"))
    return losses.dist_loss(*of_logits(case), beta=beta, gamma=gamma, temperature=temperature)


def nkd(case: GoldenCase) -> Tensor:
    return losses.nkd_loss(*of_labels(case), gamma=case.params["gamma"], temperature=case.params["temp"])


def ttm(case: GoldenCase) -> Tensor:
    return losses.ttm_loss(*of_logits(case), gamma=case.params["l"])


def wttm(case: GoldenCase) -> Tensor:
    return losses.ttm_loss(*of_logits(case), gamma=case.params["l"], weighted=True)


def rld(case: GoldenCase) -> Tensor:
    alpha, beta, temperature = (case.params[name] for name in ("alpha", "beta", "T"))
    return losses.rld_loss(
        *of_labels(case),
        alpha=alpha,
        beta=beta,
        temperature=temperature,
        alpha_temperature=case.params["alpha_T"],
        standardize=case.params["stand"],
    )


def rld_total(case: GoldenCase) -> dict[str, Tensor]:
    return whole(case, rld(case))


def skd(case: GoldenCase) -> dict[str, Tensor]:
    loss = losses.skd_loss(*of_logits(case), temperature=case.params["T"], ridge=case.params["tik"])
    ce = case.params["ce"] * F.cross_entropy(case.inputs["student"], case.inputs["labels"])
    return {"loss": ce + case.params["kd"] * loss, "loss.ce": ce}


def skd_torchdistill(case: GoldenCase) -> Tensor:
    return losses.skd_loss(*of_logits(case), temperature=case.params["T"], ridge=case.params["tik"], form="paper")


def ctkd(case: GoldenCase) -> Tensor:
    module = connectors.GlobalTemperature(case.params["t_start"], case.params["t_end"])
    temperature = functional_call(module, {"theta": case.inputs["theta"]}, (case.params["lam"],))
    return losses.ctkd_loss(*of_logits(case), temperature)


def ctkd_schedule(case: GoldenCase) -> Tensor:
    start, end, epochs = (case.params[name] for name in ("max", "min", "loops"))
    count = range(1, case.params["epochs"] + 1)
    values = [losses.ctkd_strength(epoch, epochs=epochs, start=start, end=end) for epoch in count]
    strengths = torch.tensor(values, dtype=torch.float64)
    torch.testing.assert_close(strengths, case.inputs["lam"], rtol=0, atol=1e-12)
    return strengths.sum()


def gkl(case: GoldenCase) -> Tensor:
    return of_pairs(case, version=2, gamma=case.params["gamma"])


def ikl(case: GoldenCase) -> Tensor:
    return of_pairs(case, version=1)


def of_pairs(case: GoldenCase, **options: Any) -> Tensor:
    alpha, beta, temperature = (case.params[name] for name in ("alpha", "beta", "T"))
    return losses.gkl_loss(
        *of_labels(case),
        class_means=case.inputs["prior"] if case.params["GI"] else None,
        alpha=alpha,
        beta=beta,
        temperature=temperature,
        weight_temperature=case.params["T2"],
        **options,
    )


def wsld(case: GoldenCase) -> Tensor:
    return losses.wsld_loss(*of_labels(case), alpha=case.params["alpha"], temperature=case.params["temp"])


def ldrld(case: GoldenCase) -> dict[str, Tensor]:
    def loss(alpha: float, beta: float) -> Tensor:
        k, temperature = case.params["k"], case.params["T"]
        return losses.ldrld_loss(*of_logits(case), alpha=alpha, beta=beta, k=k, temperature=temperature)

    whole = loss(case.params["alpha"], case.params["beta"])
    return {"loss": whole, "loss.local": loss(1.0, 0.0), "loss.rest": loss(0.0, 1.0)}


def wkd_l(case: GoldenCase) -> Tensor:
    cost = losses.wkd_l_cost(case.inputs["teacher.fc.weight"], sharpen=case.params["sharpen"])
    torch.testing.assert_close(cost, case.inputs["cost"].relu() + 1e-8, rtol=0, atol=1e-12)
    weight, temperature, reg, iterations = (case.params[name] for name in ("weight", "T", "reg", "iters"))
    return losses.wkd_l_loss(
        *of_labels(case), cost=cost, weight=weight, temperature=temperature, reg=reg, iterations=iterations
    )


FORMS: dict[str, Form] = {
    "lskd_kd": lskd_kd,
    "dkd": dkd,
    "dkd_total": dkd_total,
    "lskd_dkd": lskd_dkd,
    "dist": dist,
    "nkd": nkd,
    "ttm": ttm,
    "wttm": wttm,
    "rld": rld,
    "rld_total": rld_total,
    "skd": skd,
    "skd_torchdistill": skd_torchdistill,
    "ctkd": ctkd,
    "ctkd_schedule": ctkd_schedule,
    "gkl": gkl,
    "ikl": ikl,
    "wsld": wsld,
    "ldrld": ldrld,
    "wkd_l": wkd_l,
}
