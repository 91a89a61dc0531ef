"""The methods that every check of the harness runs on; a new method adds a row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tutelage.distillation import Distiller, Teacher, make_stages
from tutelage.methods import METHODS, Method, parse
from tutelage.models import create_model

SIZE = (16, 16)
CLASSES = 5


@dataclass(frozen=True)
class Case:
    """A method with settings, and the stage of it that is looked at."""

    name: str
    method: str
    settings: dict[str, dict[str, object]]
    stage: int = 0

    def methods(self) -> dict[str, Method]:
        return {name: METHODS[name](**self.settings.get(name, {})) for name in parse(self.method)}

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("none", "none", {}),
    Case("kd", "kd", {}),
    Case("at", "at", {}),
    Case("fitnets-hint", "fitnets", {}, stage=0),
    Case("fitnets-kd", "fitnets", {}, stage=1),
    Case("fitnets-joint", "fitnets", {"fitnets": {"joint": True}}),
    Case("kd+at", "kd+at", {}),
]


def networks(dtype: torch.dtype = torch.float32) -> tuple[nn.Module, nn.Module]:
    """Returns a small student and a wider, deeper teacher whose statistics are not the initial ones."""
    torch.manual_seed(0)
    student, teacher = create_model("resnet8", CLASSES), create_model("wrn_10_2", CLASSES)
    with torch.no_grad():
        for module in teacher.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    return student.to(dtype), teacher.to(dtype)


def batch(count: int = 4, dtype: torch.dtype = torch.float32, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Returns images and labels."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, *SIZE, generator=draw, dtype=torch.float64).to(dtype)
    return images, torch.randint(CLASSES, (count,), generator=draw)


def build(case: Case, dtype: torch.dtype = torch.float32) -> Distiller:
    """Returns the case's distiller, in its stage."""
    student, network = networks(torch.float32)
    teacher = Teacher(network)
    stages = make_stages(case.methods(), student, teacher, SIZE, epochs=5)
    distiller = Distiller(student, teacher, stages).to(dtype)
    distiller.enter(case.stage)
    return distiller
