"""What a network returns: a tensor, or several in a tuple, a mapping or an object with ``logits``."""

from __future__ import annotations

from typing import Any

from tutelage.errors import TutelageError


def main_output(value: Any, is_tensor: tuple[type, ...]) -> Any:
    """Returns the main tensor of what a network or module gave: itself, its ``logits``, or its first entry."""
    if isinstance(value, is_tensor):
        return value
    if isinstance(value, dict) and value:
        return main_output(value.get("logits", next(iter(value.values()))), is_tensor)
    if hasattr(value, "logits"):
        return main_output(value.logits, is_tensor)
    if isinstance(value, (list, tuple)) and value:
        return main_output(value[0], is_tensor)
    raise TutelageError(f"the network returned {type(value).__name__}, where a tensor, tuple or dict of them is needed")
