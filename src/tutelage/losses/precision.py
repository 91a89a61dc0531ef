"""Numbers a loss is computed in, whatever precision the networks around it run in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

HALF = (torch.float16, torch.bfloat16)


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: autocast is off inside ``function``, and its half-precision tensors arrive as float32.

    float32 and float64 tensors stay what they are. Sums of squares over a feature map overflow float16 and lose
    most digits of bfloat16, so a loss is worth its cast. Tensors are looked for among the arguments themselves,
    not inside lists or tuples.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
        with torch.autocast(tensors[0].device.type, enabled=False):
            wide_args = [_widen(value) for value in args]
            wide_kwargs = {name: _widen(value) for name, value in kwargs.items()}
            return function(*wide_args, **wide_kwargs)  # type: ignore[arg-type]

    return wrapped


def _widen(value: object) -> object:
    return value.float() if isinstance(value, torch.Tensor) and value.dtype in HALF else value
