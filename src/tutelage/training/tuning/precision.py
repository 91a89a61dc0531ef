"""``precision=auto``: choose bf16 if it is faster for this student and teacher on this hardware."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import NamedTuple

import torch

from tutelage.console import duration

LEAST_SAVING = 0.05
"""Fraction of the time of a step that bf16 must save, so that noise does not change the choice between runs."""
FAR_SLOWER = 1.5
"""The trial ends if the first bf16 step takes this many times as long as the first fp32 step."""
LEAST_STEPS = 4
"""Minimum number of steps in a trial: a warm-up step and a timed step in each precision."""
TRIES = 3
"""Timed steps in each precision, if the run is long enough."""


class Precision(NamedTuple):
    """A precision and the reason for choosing it."""

    name: str
    why: str
    seconds: float | None = None
    """Time of a step, if it was measured."""


def default_precision(device: torch.device) -> str:
    """Return the precision to use without a trial: bf16 on a GPU that supports it, or else fp32."""
    return "bf16" if device.type == "cuda" and has_bf16(device) else "fp32"


def has_bf16(device: torch.device) -> bool:
    """Return whether the device supports bf16 natively; many CPUs emulate it, which is far slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        return torch.cpu._is_avx512_bf16_supported()  # also true for processors with AMX
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_precision(step: Callable[[str], float], limit: float) -> Precision:
    """Time steps in fp32 and bf16, and return the faster precision.

    bf16 is not always faster; depthwise convolutions, for example, are slower in bf16 on many processors.

    Args:
        step: A function that takes a step in ``fp32`` or ``bf16`` and returns its time in seconds.
        limit: Maximum duration of the trial, in fp32 steps; at least :data:`LEAST_STEPS`.
    """
    times: dict[str, list[float]] = {"fp32": [], "bf16": []}
    first = step("fp32")
    times["fp32"].append(step("fp32"))
    first_bf16 = step("bf16")
    if first_bf16 > FAR_SLOWER * first:
        fp32 = times["fp32"][0]
        return Precision("fp32", f"{duration(fp32)} per step; bf16 is far slower, {duration(first_bf16)}", fp32)
    times["bf16"].append(step("bf16"))
    spent = first + first_bf16 + times["fp32"][0] + times["bf16"][0]
    while len(times["bf16"]) < TRIES and spent + times["fp32"][0] + times["bf16"][0] < limit * times["fp32"][0]:
        for precision in times:
            times[precision].append(step(precision))
            spent += times[precision][-1]
    fp32, bf16 = (min(seconds) for seconds in times.values())
    if bf16 < (1 - LEAST_SAVING) * fp32:
        return Precision("bf16", f"{duration(bf16)} per step, {duration(fp32)} in fp32", bf16)
    return Precision("fp32", f"{duration(fp32)} per step, {duration(bf16)} in bf16", fp32)
