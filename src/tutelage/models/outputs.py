"""The main output of a network that returns a tensor, tuple, mapping or an object with ``logits``."""

from __future__ import annotations

from typing import Any

from tutelage.errors import TutelageError


def main_output(value: Any, is_tensor: tuple[type, ...]) -> Any:
    """Return the main tensor of an output: the tensor itself, its ``logits`` or its first entry.

    Args:
        value: Output of a network or module.
        is_tensor: Types that count as tensors.

    Raises:
        TutelageError: If there is no such tensor.

    Example:
        >>> import torch
        >>> from tutelage.models import main_output
        >>> main_output({"features": torch.zeros(1), "logits": torch.ones(1)}, (torch.Tensor,))
        tensor([1.])
    """
    if isinstance(value, is_tensor):
        return value
    if isinstance(value, dict) and value:
        return main_output(value.get("logits", next(iter(value.values()))), is_tensor)
    if hasattr(value, "logits"):
        return main_output(value.logits, is_tensor)
    if isinstance(value, (list, tuple)) and value:
        return main_output(value[0], is_tensor)
    raise TutelageError(f"the network returned {type(value).__name__}; return a tensor, or a tuple or dict of tensors")
