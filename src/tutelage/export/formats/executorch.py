"""ExecuTorch for phones: a ``.pte`` file that runs on the CPU with the XNNPACK delegate."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tutelage.export.formats.extras import quiet, quiet_native
from tutelage.export.task import Task
from tutelage.runs import Predict


def write_executorch(task: Task, path: Path) -> None:
    """Write the student for one image per call, (1, 3, H, W) → (1, K)."""
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(task.module, (task.example[:1],))
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
        with path.open("wb") as file:
            lowered.write_to_file(file)


def open_executorch(path: Path) -> Predict:
    """Open a ``.pte`` file with the ExecuTorch runtime, one image at a time."""
    with quiet(), quiet_native():
        from executorch.runtime import Runtime

        program = Runtime.get().load_program(path)
        forward = program.load_method("forward")

    def predict(images: Tensor) -> Tensor:
        # The runtime reuses its output memory.
        return torch.cat([forward.execute([image[None].contiguous()])[0].clone() for image in images])

    return predict
