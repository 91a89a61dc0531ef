"""Decorator that computes losses in full precision, whatever the precision of the networks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a loss to run without autocast on tensors of one floating-point type.

    The tensors are cast to float64 if any of them is float64, and to float32 otherwise. Sums of squares over a feature
    map overflow float16 and lose most digits of bfloat16. Only the arguments themselves are cast, not tensors inside
    lists or tuples.

    Args:
        function: Function with at least one tensor argument.

    Returns:
        The decorated function.

    Example:
        >>> import torch
        >>> from tutelage.losses import full_precision
        >>> @full_precision
        ... def sum_of_squares(features):
        ...     return features.square().sum()
        >>> sum_of_squares(torch.full((4,), 300.0, dtype=torch.float16))
        tensor(360000.)
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
        dtype = torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32
        with torch.autocast(tensors[0].device.type, enabled=False):
            wide_args = [_widen(value, dtype) for value in args]
            wide_kwargs = {name: _widen(value, dtype) for name, value in kwargs.items()}
            return function(*wide_args, **wide_kwargs)  # type: ignore[arg-type]

    return wrapped


def _widen(value: object, dtype: torch.dtype) -> object:
    return value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
