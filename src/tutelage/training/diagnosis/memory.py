"""Memory that ran out: how much a step takes, and what to lower."""

from __future__ import annotations

import gc
import traceback
from typing import TYPE_CHECKING

import psutil
import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.training.engine import AUTOCAST
from tutelage.training.job.job import Job

if TYPE_CHECKING:
    from accelerate import Accelerator


SAMPLED = 4
"""Images in the pass that tells what one takes."""
USED = 0.8
"""Part of the free memory that a step is advised to take."""
FEWEST = 2
"""Images in a part of a batch that is advised: batch norm needs two."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the device or on the host; PyTorch has no class of its own for the host."""
    said = str(error)
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and ("DefaultCPUAllocator" in said or "out of memory" in said)
    )


def explain(error: BaseException, job: Job, engine: Accelerator) -> TutelageError:
    """Returns an error that says what a step takes, what is free, and what to lower.

    The estimate is of what the student keeps for the backward pass, by far the most; it grows with the images.
    """
    traceback.clear_frames(error.__traceback__)  # they hold what the failed step had made
    gc.collect()
    settings = job.settings
    images = -(-settings.batch_size // (settings.accumulate * engine.num_processes))
    free = _free_bytes(engine.device)
    less = "" if settings.precision in AUTOCAST else ", or precision=bf16"
    try:
        each = _bytes_an_image(job, engine)
    except (RuntimeError, MemoryError) as again:
        if not is_out_of_memory(again):
            raise
        return TutelageError(
            f"memory ran out, and even {SAMPLED} images do not fit: {free / 1e9:.2f} GB are free. Use a smaller "
            f"student or teacher, smaller images (data.size){less}"
        )
    parts, most = settings.accumulate, settings.accumulate * images // FEWEST
    while parts < most and (parts == settings.accumulate or each * images * settings.accumulate / parts > USED * free):
        parts = min(2 * parts, most)
    advice = (
        f"Set accumulate={parts}, which takes the same steps in more parts, or batch_size={settings.batch_size // 2}"
        if parts > settings.accumulate
        else "Use a smaller student or teacher, or smaller images (data.size)"
    )
    return TutelageError(
        f"memory ran out: for {images} images at once the student keeps about {each * images / 1e9:.2f} GB for the "
        f"backward pass ({each / 1e6:.2f} MB an image), and {free / 1e9:.2f} GB are free. {advice}{less}"
    )


def _bytes_an_image(job: Job, engine: Accelerator) -> float:
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    own = {parameter.untyped_storage().data_ptr() for parameter in job.distiller.parameters()}
    shape = (SAMPLED, 3, *job.data.size)
    images = torch.zeros(shape, dtype=torch.uint8, device=engine.device)
    labels = torch.zeros(SAMPLED, dtype=torch.int64, device=engine.device)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), engine.autocast():
        out = job.distiller(images, labels)  # while it lives, no storage takes the place of another
    del out
    return sum(size for place, size in kept.items() if place not in own) / SAMPLED


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
