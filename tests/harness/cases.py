"""The methods that every check of the harness runs on; a new method adds a row."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tutelage.distillation import Distiller, Teacher, Teachers, make_stages
from tutelage.methods import METHODS, Method, parse
from tutelage.models import create_model

SIZE = (16, 16)
CLASSES = 5


@dataclass(frozen=True, eq=False)
class Case:
    """A method with settings, and the stage of it that is looked at; a row is equal to itself alone."""

    name: str
    method: str
    settings: dict[str, dict[str, object]]
    stage: int = 0
    teachers: tuple[str, ...] = ("wrn_10_2",)
    epochs: int = 5
    progress: float = 0.0

    def methods(self) -> dict[str, Method]:
        return {name: METHODS[name](**self.settings.get(name, {})) for name in parse(self.method)}

    def __str__(self) -> str:
        return self.name


PAPER: dict[str, dict[str, object]] = {
    "fitnets": {
        "form": "paper",
        "regressor": "paper",
        "temperature": 3.0,
        "squared_temperature": False,
        "kd_weight": 4.0,
        "final_kd_weight": 1.0,
    }
}

CASES = [
    Case("none", "none", {}),
    Case("kd", "kd", {}),
    Case("kd-label-free", "kd", {"kd": {"labels": False}}),
    Case("kd-ensemble-logits", "kd", {}, teachers=("wrn_10_2", "resnet8")),
    Case("kd-ensemble-probabilities", "kd", {"kd": {"ensemble": "probabilities"}}, teachers=("wrn_10_2", "resnet8")),
    Case("at", "at", {}),
    Case("at-paper-max", "at", {"at": {"form": "paper", "weight": 0.1, "p": 1, "reduce": "max"}}),
    Case("at_gradient", "at_gradient", {}),
    Case("at_gradient-symmetry", "at_gradient", {"at_gradient": {"form": "symmetry"}}),
    Case("nst", "nst", {}),
    Case("nst-gaussian", "nst", {"nst": {"kernel": "gaussian", "bandwidth": 0.5, "weight": 2.0}}),
    Case("nst-last", "nst", {"nst": {"kernel": "linear", "layers": "last"}}),
    Case("fsp", "fsp", {}, teachers=("wrn_10_1",)),
    Case("ofd", "ofd", {}),
    Case("ofd-eval", "ofd", {"ofd": {"teacher_mode": "eval"}}),
    Case("fitnets-hint", "fitnets", {}, stage=0),
    Case("fitnets-kd", "fitnets", {}, stage=1),
    Case("fitnets-paper-hint", "fitnets", PAPER, stage=0),
    Case("fitnets-paper-kd", "fitnets", PAPER, stage=1, progress=0.5),
    Case("fitnets-joint", "fitnets", {"fitnets": {"joint": True}}),
    Case("feature_maps", "feature_maps", {}),
    Case("feature_maps-block", "feature_maps", {"feature_maps": {"form": "block_at_a_time"}}, stage=2),
    Case(
        "feature_maps-task",
        "feature_maps",
        {"feature_maps": {"form": "hint_then_freeze", "last": "kd"}},
        stage=1,
    ),
    Case("reviewkd", "reviewkd", {}),
    Case("cat_kd", "cat_kd", {}),
    Case("sdd", "sdd", {}),
    Case("sdd-dkd", "sdd", {"sdd": {"loss": "dkd", "sizes": (1, 2), "beta": 2.0, "warmup": 5}}),
    Case("sdd-nkd", "sdd", {"sdd": {"loss": "nkd", "ce": 0.5}}),
    Case("mgd", "mgd", {"mgd": {"ratio": 0.0}}),  # with masks, no two passes are equal
    Case("wkd_f", "wkd_f", {"wkd_f": {"grid": 2, "ratio": 4.0}}),
    Case("rkd", "rkd", {}),
    Case("sp", "sp", {}),
    Case("pkt", "pkt", {}),
    Case("vid", "vid", {}),
    Case("ickd", "ickd", {}),
    Case("srrl", "srrl", {}),
    Case("pefd", "pefd", {}),
    Case("srd", "srd", {}),
    Case("ft-paraphraser", "ft", {}),
    Case("ft", "ft", {}, stage=1),
    Case("ft-repdistiller", "ft", {"ft": {"form": "repdistiller"}}, stage=1),
    Case("ab", "ab", {}),
    Case("cc", "cc", {}),
    Case("kdsvd", "kdsvd", {"kdsvd": {"taps": {"conv1": "relu", "block1": "layer1"}}}, teachers=("wrn_10_1",)),
    Case("itrd", "itrd", {}),
    Case("kd+at", "kd+at", {}),
    Case("kd+ofd", "kd+ofd", {}),
    Case("kd-standardized", "kd", {"kd": {"standardize": True}}),
    Case("dkd", "dkd", {}),
    Case("dist", "dist", {}),
    Case("ttm", "ttm", {"ttm": {"weighted": True}}),
    Case("nkd", "nkd", {}),
    Case("rld", "rld", {}),
    Case("skd", "skd", {}),
    # With λ = 1, the gradient of the temperature is that of the loss.
    Case("ctkd", "ctkd", {"ctkd": {"start": 1.0, "end": 1.0}}),
    Case("gkl", "gkl", {}),
    Case("wkd_l", "wkd_l", {}),
    Case("wsld", "wsld", {}),
    Case("ldrld", "ldrld", {"ldrld": {"k": 3}}),
]
BY_NAME = {case.name: case for case in CASES}

VARIANTS = {
    *("kd-label-free", "kd-ensemble-logits", "kd-ensemble-probabilities", "at-paper-max", "nst-gaussian", "ofd-eval"),
    *("fitnets-paper-hint", "fitnets-paper-kd", "feature_maps-task", "kd+at", "kd+ofd"),
    *("sdd-dkd", "sdd-nkd"),
    "ft-repdistiller",
}
"""Other settings of a method whose row stands above: ``make chaos`` checks their gradients."""


def network(name: str) -> nn.Module:
    """Returns a teacher whose statistics are not the initial ones."""
    built = create_model(name, CLASSES)
    with torch.no_grad():
        for module in built.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    return built


def networks(dtype: torch.dtype = torch.float32) -> tuple[nn.Module, nn.Module]:
    """Returns a small student and a wider, deeper teacher."""
    torch.manual_seed(0)
    return create_model("resnet8", CLASSES).to(dtype), network("wrn_10_2").to(dtype)


def batch(count: int = 4, dtype: torch.dtype = torch.float32, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Returns images and labels."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, *SIZE, generator=draw, dtype=torch.float64).to(dtype)
    return images, torch.randint(CLASSES, (count,), generator=draw)


def build(case: Case, dtype: torch.dtype = torch.float32) -> Distiller:
    """Returns the case's distiller, in its stage and as far into it as the case says."""
    torch.manual_seed(0)
    student = create_model("resnet8", CLASSES).to(dtype)
    members = [Teacher(network(name).to(dtype)) for name in case.teachers]
    teacher = members[0] if len(members) == 1 else Teachers(members)
    stages = make_stages(case.methods(), student, teacher, SIZE, case.epochs)
    distiller = Distiller(student, teacher, stages)
    if case.stage > 0:  # it is in its first
        distiller.enter(case.stage)
    distiller.progress = case.progress
    return distiller


@functools.cache
def _built(case: Case, dtype: torch.dtype) -> tuple[Distiller, dict[str, Tensor]]:
    distiller = build(case, dtype)
    return distiller, {name: value.clone() for name, value in distiller.state_dict().items()}


def rebuilt(case: Case, dtype: torch.dtype = torch.float32) -> Distiller:
    """Returns what ``build`` does, the same distiller each time: for tests that take steps in its one stage."""
    distiller, before = _built(case, dtype)
    distiller.load_state_dict(before)
    distiller.zero_grad()
    return distiller
