"""Recognize in-place operations while tracing, and find their out-of-place forms."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_OPERATORS: dict[Any, Callable[..., Any]] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    operator.ipow: operator.pow,
    operator.imatmul: operator.matmul,
}


def is_inplace(kind: str, target: Any, kwargs: dict[str, Any]) -> bool:
    """Return whether a call changes its first argument, as ``x.relu_()`` and ``relu(x, inplace=True)`` do."""
    if kind == "call_function":
        return bool(target in _OPERATORS or kwargs.get("inplace") is True or _marked(getattr(target, "__name__", "")))
    return kind == "call_method" and _marked(target) and callable(getattr(Tensor, target, None))


def out_of_place(kind: str, target: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
    """Return target and keyword arguments of the out-of-place form; None if there is none (``x.normal_()``)."""
    if kwargs.get("inplace") is True:
        return target, {**kwargs, "inplace": False}
    if target in _OPERATORS:
        return _OPERATORS[target], kwargs
    if kind == "call_method":
        plain = target[:-1]
        return (plain, kwargs) if callable(getattr(Tensor, plain, None)) else None
    name = target.__name__[:-1]
    function = getattr(torch, name, None) or getattr(functional, name, None)
    return (function, kwargs) if callable(function) else None


def _marked(name: str) -> bool:
    return name.endswith("_") and not name.endswith("__")
