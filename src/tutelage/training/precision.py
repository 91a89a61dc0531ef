"""``precision=auto``: bf16 where it is faster for this student and teacher on this hardware."""

from __future__ import annotations

import torch

from tutelage.distillation import Distiller
from tutelage.training.timing import Trial

LEAST_SAVING = 0.05
"""Part of the time of a step that bf16 has to save: where both are alike, every run should choose the same."""


def choose_precision(distiller: Distiller, trial: Trial) -> str:
    """Times a few steps in each precision and returns ``bf16`` or ``fp32``.

    Not every network gains: depthwise convolutions in bf16 are slower on many processors. Processors without AVX-512
    emulate bf16, many times slower, and are not timed.
    """
    if trial.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        return "fp32"
    fp32, bf16 = (trial.step_seconds(distiller, precision) for precision in ("fp32", "bf16"))
    return "bf16" if bf16 < (1 - LEAST_SAVING) * fp32 else "fp32"
