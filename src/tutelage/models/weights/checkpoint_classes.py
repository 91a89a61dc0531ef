"""Class names that training scripts save next to the weights."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_KEYS = {
    *("classes", "class_names", "classnames", "label_names", "labels", "names", "categories"),
    *("class_to_idx", "class_to_index", "idx_to_class", "index_to_class", "id2label", "label2id"),
}


def find_class_names(content: Any, count: int) -> tuple[str, ...] | None:
    """Return the names of ``count`` classes found in a weights file, in the order of the logits.

    None if there are none, or several lists that disagree, of which a warning tells. Consecutive numbers do not count
    as names.

    Example:
        >>> find_class_names({"state_dict": {}, "class_to_idx": {"dog": 0, "cat": 1}}, 2)
        ('dog', 'cat')
    """
    found = {names for names in _names(content) if len(names) == count == len(set(names))}
    if len(found) > 1:
        first, second = sorted(found)[:2]
        place = next(place for place in range(count) if first[place] != second[place])
        warnings.warn(
            f"class names in the weights file are not used, because it has lists that disagree: class {place} is "
            f"'{first[place]}' or '{second[place]}'",
            stacklevel=3,
        )
    return found.pop() if len(found) == 1 else None


def read_config_beside(path: Path) -> Any:
    """Return the ``config.json`` next to a weights file, as timm and Hugging Face write it; None if unreadable."""
    try:
        return json.loads((path.parent / "config.json").read_bytes())
    except (OSError, ValueError):
        return None


def _names(content: Any, depth: int = 3) -> Iterator[tuple[str, ...]]:
    if not isinstance(content, Mapping):
        return
    for key, value in content.items():
        names = _in_order(value) if str(key).casefold() in _KEYS else None
        if names is not None and names != tuple(map(str, range(len(names)))):
            yield names
        if depth:
            yield from _names(value, depth - 1)


def _in_order(value: Any) -> tuple[str, ...] | None:
    """Return the names in a list, ``{number: name}`` or ``{name: number}``; None if the value is none of these."""
    if isinstance(value, Mapping):
        if all(isinstance(number, int) for number in value.values()):
            value = {number: name for name, number in value.items()}
        by_number = {str(number): name for number, name in value.items()}
        value = [by_number.get(str(number)) for number in range(len(by_number))]
    are_names = isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)
    return tuple(value) if are_names else None
