"""Explain why memory ran out: how much a step takes, and which settings to change."""

from __future__ import annotations

import gc
import traceback
from typing import TYPE_CHECKING

import psutil
import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.terms import alone
from tutelage.training.engine import AUTOCAST
from tutelage.training.job.job import Job

if TYPE_CHECKING:
    from accelerate import Accelerator


SAMPLED = 4
"""Number of images in the pass that estimates the memory per image."""
USED = 0.8
"""Fraction of the free memory that the suggested settings use."""
FEWEST = 2
"""Minimum images in each part of a batch that is suggested, because batch normalization needs two."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out on the device or on the host, for which PyTorch has no exception class."""
    said = str(error)
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and ("DefaultCPUAllocator" in said or "out of memory" in said)
    )


def explain(error: BaseException, job: Job, engine: Accelerator) -> TutelageError:
    """Return the error to raise, with the memory that a step takes, the free memory, and the settings to change.

    The estimate is the memory of tensors saved for the backward pass, which dominates and grows with the batch.
    """
    traceback.clear_frames(error.__traceback__)  # frames hold the tensors of the failed step
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
            f"out of memory: even {SAMPLED} images do not fit into the {free / 1e9:.2f} GB that are free. Use a "
            f"smaller student or teacher, smaller images (data.size){less}"
        )
    parts, most = settings.accumulate, settings.accumulate * images // FEWEST
    while parts < most and (parts == settings.accumulate or each * images * settings.accumulate / parts > USED * free):
        parts = min(2 * parts, most)
    advice = (
        f"Set accumulate={parts}, which splits each step into more parts, or batch_size={settings.batch_size // 2}"
        if parts > settings.accumulate
        else "Use a smaller student or teacher, or smaller images (data.size)"
    )
    return TutelageError(
        f"out of memory: for {images} images at once the student stores about {each * images / 1e9:.2f} GB for the "
        f"backward pass ({each / 1e6:.2f} MB per image), and {free / 1e9:.2f} GB are free. {advice}{less}"
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
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), engine.autocast(), alone():
        out = job.distiller(images, labels, index=labels)  # keeps the graph alive, so that no storage is reused
    del out
    return sum(size for place, size in kept.items() if place not in own) / SAMPLED


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
