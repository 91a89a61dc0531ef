"""Accelerate, as far as we use it: device, processes, precision, reductions."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, TypeVar

import torch

from tutelage.errors import TutelageError

if TYPE_CHECKING:
    from accelerate import Accelerator, PartialState


T = TypeVar("T")

AUTOCAST = ("bf16", "fp16")
"""Precisions that networks run in under autocast; in the others they run in float32."""


def build_engine(precision: str, device: str) -> Accelerator:
    """Return an Accelerator for one run, and choose the kernels that PyTorch may use on a GPU.

    Args:
        precision: ``fp32``, ``bf16``, or, on a GPU, ``tf32``, or ``fp16`` with a gradient scaler.
        device: ``auto`` or ``cpu``.

    Raises:
        TutelageError: the launcher asks for weights that are spread over the processes.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType

    choose_kernels(precision)
    atexit.register(_part)
    _forget_device()
    # Accelerate keeps its state for the life of the process; several runs in one process may differ in precision.
    AcceleratorState._reset_state()
    engine = Accelerator(mixed_precision=precision if precision in AUTOCAST else "no", cpu=device == "cpu")
    if engine.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise TutelageError(
            f"accelerate asks for {engine.distributed_type.value}, and here every process holds the whole student and "
            f"the whole teacher: launch without it; accumulate=N, precision=bf16 and cache.views=N save memory, and "
            f"Distiller.shard spreads weights in a loop of your own (docs/clusters.md)"
        )
    return engine


def choose_kernels(precision: str) -> None:
    """Set what PyTorch leaves to each process: cuDNN's choice of algorithms, and TF32.

    ``cudnn.benchmark`` is on, because all training batches have one shape: cuDNN times its algorithms in the first step
    and keeps the fastest. TF32 rounds the inputs of float32 products to 10 bits of mantissa; PyTorch's default has it
    on for convolutions and off for matrix products. Here it is on for both with ``precision=tf32``, and off otherwise:
    ``fp32`` is float32 throughout, and losses, which run in float32 under autocast too, are exact.
    """
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def _part() -> None:
    """Parts the processes when the script ends: several runs may follow one another in it."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def stay_together() -> None:
    """Leaves the processes as they are when the script ends: one that failed must not wait for the others."""
    atexit.unregister(_part)


def find_process(device: str) -> PartialState:
    """Returns which of the run's processes this is, and the device that :func:`build_engine` would choose."""
    from accelerate import PartialState

    _forget_device()
    return PartialState(cpu=device == "cpu")


def _forget_device() -> None:
    """Have Accelerate choose the device again: it keeps that of the first run for the life of the process."""
    from accelerate import PartialState

    if not torch.distributed.is_initialized():
        PartialState._reset_state()


def seed_of(seed: int, rank: int) -> int:
    """Return the seed for dropout and stochastic depth in process ``rank``; that of the run in the first one.

    The odd stride keeps the seeds of neighboring runs and processes apart. PyTorch's CPU generator uses 32 bits.

    Example:
        >>> seed_of(7, 0), seed_of(7, 1) != seed_of(8, 0)
        (7, True)
    """
    return (seed + rank * 0x9E3779B1) % 2**32 if rank else seed


def agree(value: T) -> T:
    """Return the value that the first process has, in every process."""
    from accelerate.utils import broadcast_object_list

    agreed: list[T] = broadcast_object_list([value])
    return agreed[0]
