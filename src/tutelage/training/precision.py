"""``precision=auto``: bf16 where it is faster for this student and teacher on this hardware."""

from __future__ import annotations

import time

import torch

from tutelage.data import Batch
from tutelage.distillation import Distiller

TRIALS = 3


def choose_precision(distiller: Distiller, batch: Batch, device: torch.device) -> str:
    """Times a few forward and backward passes in each precision and returns ``bf16`` or ``fp32``.

    Weights, buffers and the state of the random generator are left as they were. Not every network gains: depthwise
    convolutions in bf16 are slower on many processors. Processors without AVX-512 emulate bf16, many times slower, and
    are not timed.
    """
    if device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        return "fp32"
    saved = {name: value.clone() for name, value in distiller.state_dict().items()}
    images = batch.images.to(device).contiguous(memory_format=torch.channels_last)
    labels = batch.labels.to(device)
    best = {"fp32": float("inf"), "bf16": float("inf")}
    with torch.random.fork_rng():
        for _ in range(TRIALS):
            for precision in best:
                best[precision] = min(best[precision], _time_step(distiller, images, labels, precision, device))
    distiller.load_state_dict(saved)
    distiller.zero_grad(set_to_none=True)
    return min(best, key=lambda precision: best[precision])


def _time_step(
    distiller: Distiller, images: torch.Tensor, labels: torch.Tensor, precision: str, device: torch.device
) -> float:
    start = time.perf_counter()
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        loss = distiller(images, labels).loss
    loss.backward()
    loss.item()
    return time.perf_counter() - start
