"""ExecuTorch, for phones: a ``.pte`` file that its XNNPACK delegate runs on the processor."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tutelage.export.formats.extras import quiet, quiet_native
from tutelage.export.task import Task
from tutelage.runs import Predict


def write_executorch(task: Task, path: Path) -> None:
    """Writes the student for one image a call: (1, 3, H, W) → (1, K)."""
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(task.module, (task.example[:1],))
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
        with path.open("wb") as file:
            lowered.write_to_file(file)


def open_executorch(path: Path) -> Predict:
    """Returns the model of a ``.pte`` file, run by ExecuTorch's own runtime, an image at a time."""
    with quiet(), quiet_native():
        from executorch.runtime import Runtime

        program = Runtime.get().load_program(path)
        forward = program.load_method("forward")

    def predict(images: Tensor) -> Tensor:
        # The runtime gives the same memory again and again.
        return torch.cat([forward.execute([image[None].contiguous()])[0].clone() for image in images])

    return predict
