"""``torch.export`` programs, which run in PyTorch without tutelage or the network's code."""

from __future__ import annotations

from pathlib import Path

import torch

from tutelage.export.formats.extras import quiet
from tutelage.export.task import Task
from tutelage.runs import Predict, in_channels_last


def write_program(task: Task, path: Path) -> None:
    """Write the student as a ``.pt2`` file for any batch size."""
    with quiet():
        batch = torch.export.Dim("batch", min=1)
        # torch 2.6 is strict by default, and it cannot load the module paths that strict mode writes.
        program = torch.export.export(
            in_channels_last(task.module), (task.example,), dynamic_shapes=({0: batch},), strict=False
        )
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # contains paths of this machine
        torch.export.save(program, path, extra_files=task.metadata())


def open_program(path: Path) -> Predict:
    """Open a ``.pt2`` file with PyTorch."""
    with quiet():
        return torch.no_grad()(torch.export.load(path).module())
