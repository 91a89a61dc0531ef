"""``precision=auto``: bf16 where it is faster for this student and teacher on this hardware."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import NamedTuple

import torch

from tutelage.console import duration

LEAST_SAVING = 0.05
"""Part of the time of a step that bf16 has to save: where both are alike, every run should choose the same."""
FAR_SLOWER = 1.5
"""A first bf16 step that takes so many times as long as the first fp32 step ends the trial."""
LEAST_STEPS = 4
"""What a trial takes: in each precision, a step that sets up and one that is timed."""
TRIES = 3
"""Timed steps in each precision, where the run is long enough."""


class Precision(NamedTuple):
    """A precision, and what led to it."""

    name: str
    why: str
    seconds: float | None = None
    """Of a step in it, where one was timed."""


def default_precision(device: torch.device) -> str:
    """Return what to use where there is no time to try: bf16 on a GPU that has it, else fp32."""
    return "bf16" if device.type == "cuda" and has_bf16(device) else "fp32"


def has_bf16(device: torch.device) -> bool:
    """Return whether the device computes in bf16; many CPUs emulate it, many times slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        return torch.cpu._is_avx512_bf16_supported()  # which processors with AMX have too
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_precision(step: Callable[[str], float], limit: float) -> Precision:
    """Time steps in each precision and return the faster.

    Not every network gains: depthwise convolutions in bf16 are slower on many processors.

    Args:
        step: takes a step in ``fp32`` or ``bf16`` and returns its seconds.
        limit: how many steps in fp32 the trial may take as long as; at least :data:`LEAST_STEPS`.
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
