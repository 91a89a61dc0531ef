"""Set up Accelerate and PyTorch for a run: device, processes, precision and kernels."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, TypeVar

import torch

from tutelage.errors import TutelageError

if TYPE_CHECKING:
    from accelerate import Accelerator, PartialState


T = TypeVar("T")

AUTOCAST = ("bf16", "fp16")
"""Precisions that use autocast; with all others, networks run in float32."""


def build_engine(precision: str, device: str) -> Accelerator:
    """Return an Accelerator for one run, and choose the kernels that PyTorch may use on a GPU.

    Args:
        precision: ``fp32``, ``bf16``, or, on a GPU, ``tf32``, or ``fp16`` with a gradient scaler.
        device: ``auto`` or ``cpu``.

    Raises:
        TutelageError: If the launcher is configured for sharded weights (FSDP, DeepSpeed or Megatron-LM).
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType

    choose_kernels(precision)
    atexit.register(_part)
    _forget_device()
    # Accelerate keeps its state until the process ends, but runs in one process may differ in precision.
    AcceleratorState._reset_state()
    engine = Accelerator(mixed_precision=precision if precision in AUTOCAST else "no", cpu=device == "cpu")
    if engine.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise TutelageError(
            f"{engine.distributed_type.value} is not supported, because every process holds the whole student and "
            f"the whole teacher; launch without it. To save memory, set accumulate=N, precision=bf16 or cache.views=N, "
            f"or use Distiller.shard in your own loop (docs/clusters.md)"
        )
    return engine


def choose_kernels(precision: str) -> None:
    """Set PyTorch's global choices of kernels: cuDNN's benchmark mode and TF32.

    ``cudnn.benchmark`` is on, because all training batches have the same shape: cuDNN times its algorithms in the first
    step and keeps the fastest. TF32 rounds the inputs of float32 products to 10 bits of mantissa. By default, PyTorch
    uses it for convolutions but not for matrix products. Here, ``precision=tf32`` uses it for both, and all other
    precisions for neither, so that ``fp32`` is float32 throughout, and losses are computed exactly under autocast too.
    """
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def _part() -> None:
    """Destroy the process group at exit; not earlier, because a script may have several runs."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def stay_together() -> None:
    """Keep the process group at exit, because a failed process must not wait for the others."""
    atexit.unregister(_part)


def find_process(device: str) -> PartialState:
    """Return the rank of this process in the run, and the device that :func:`build_engine` would choose."""
    from accelerate import PartialState

    _forget_device()
    return PartialState(cpu=device == "cpu")


def _forget_device() -> None:
    """Make Accelerate choose the device again; otherwise it keeps the device of the first run in this process."""
    from accelerate import PartialState

    if not torch.distributed.is_initialized():
        PartialState._reset_state()


def seed_of(seed: int, rank: int) -> int:
    """Return the seed for dropout and stochastic depth in process ``rank``; process 0 uses the seed of the run.

    The odd stride keeps the seeds of neighboring runs and processes apart. PyTorch's CPU generator uses 32 bits.

    Example:
        >>> seed_of(7, 0), seed_of(7, 1) != seed_of(8, 0)
        (7, True)
    """
    return (seed + rank * 0x9E3779B1) % 2**32 if rank else seed


def agree(value: T) -> T:
    """Return the value of the first process in every process."""
    from accelerate.utils import broadcast_object_list

    agreed: list[T] = broadcast_object_list([value])
    return agreed[0]
