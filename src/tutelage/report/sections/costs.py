"""Inference cost of each network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from tutelage.errors import TutelageError
from tutelage.measure import measure_latency
from tutelage.models import count_macs, parameter_count
from tutelage.report.material.material import Material
from tutelage.runs import describe_device, load_student


@dataclass(frozen=True)
class Cost:
    """Cost of a forward pass for one image."""

    parameters: int
    macs: int
    latency: float
    """Milliseconds on this machine."""


def measure_costs(material: Material) -> dict[str, Cost]:
    """Return the cost of each available student, and of the teacher under the key ``teacher``."""
    costs: dict[str, Cost] = {}
    for group in material.groups:
        if group.row.student in costs:
            continue
        try:
            student = load_student(group.typical.folder)
        except TutelageError:
            continue
        costs[group.row.student] = _cost(student.network, student.size)
    if material.teacher is not None and material.data is not None:
        members = material.teacher.members
        each = [_cost(member.network, member.input_size or material.data.size) for member in members]
        costs["teacher"] = Cost(*(sum(parts) for parts in zip(*((c.parameters, c.macs, c.latency) for c in each))))
    return costs


def _cost(network: nn.Module, size: tuple[int, int]) -> Cost:
    return Cost(parameter_count(network), count_macs(network, size), measure_latency(network.to("cpu"), size, 1))


def measured_on() -> str:
    """Return a description of the device that latencies are measured on."""
    threads = torch.get_num_threads()
    return f"{describe_device(torch.device('cpu'))}, {threads} thread{'' if threads == 1 else 's'}"
