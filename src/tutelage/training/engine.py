"""Accelerate, as far as we use it: device, processes, precision, reductions, trackers."""

from __future__ import annotations

from pathlib import Path

from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState


def build_engine(precision: str, device: str, folder: Path | None = None) -> Accelerator:
    """Returns an Accelerator for one run, with its TensorBoard events in ``folder``.

    ``precision`` is ``fp32``, ``bf16``, or, on a GPU, ``fp16`` with a gradient scaler; ``device`` is ``auto`` or
    ``cpu``.
    """
    # Accelerate keeps its state for the life of the process; several runs in one process may differ in precision.
    AcceleratorState._reset_state()
    return Accelerator(
        mixed_precision="no" if precision == "fp32" else precision,
        cpu=device == "cpu",
        log_with="tensorboard" if folder is not None else None,
        project_dir=folder,
    )


def find_process(device: str) -> PartialState:
    """Returns which of the run's processes this is, and the device that :func:`build_engine` would choose."""
    return PartialState(cpu=device == "cpu")
