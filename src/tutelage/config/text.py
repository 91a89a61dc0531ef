"""YAML in which plain scalars stay text: what one means is decided by the setting that it is given to."""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"


class _TextLoader(yaml.SafeLoader):
    """Reads mappings, lists, text and null; a folder called ``2011_09_26``, ``yes`` or ``007`` keeps its name.

    Infinities and not-a-number keep YAML's spelling (``.inf``). Every other tag is refused, so no object is ever made,
    and what the text stands for is counted before it is made.
    """

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in (f"{_TAG}null", f"{_TAG}merge")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.removeprefix(_TAG) in ("map", "seq", "str", "null", "float")
    }

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _count(node, {})
        return node


_TextLoader.add_implicit_resolver(f"{_TAG}float", re.compile(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN)$"), list("-+."))


MOST = 100_000
"""Values in one text, its anchors written out: a few lines of anchors within anchors would stand for billions."""


def parse(text: str) -> Any:
    """Returns what the YAML says, with text for scalars; raises ValueError, with the reason, where it is no YAML.

    A key that is given twice, an anchor within itself, and more than ``MOST`` values are errors too.
    """
    try:
        return _TextLoader(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(_reason(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _count(node: yaml.Node, counts: dict[int, int]) -> int:
    """Returns how many values a node stands for; ``counts`` has those of the nodes seen, 0 of those around it."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in counts:
        counts[id(node)] = 0
        parts = list(chain(*node.value)) if isinstance(node, yaml.MappingNode) else node.value
        counts[id(node)] = 1 + sum(_count(part, counts) for part in parts)
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
    elif not counts[id(node)]:
        raise ValueError(f"{_line(node.start_mark)}an anchor is within itself")
    if counts[id(node)] > MOST:
        raise ValueError(f"it stands for more than {MOST:,} values")
    return counts[id(node)]


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value in seen:
            raise ValueError(f"{_line(key.start_mark)}'{key.value}' is given twice")
        seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)


def _reason(error: yaml.YAMLError) -> str:
    parts = (getattr(error, name, None) for name in ("context", "problem", "reason"))
    return _line(getattr(error, "problem_mark", None)) + ", ".join(part for part in parts if part)


def _line(mark: yaml.Mark | None) -> str:
    """The line of a place, where there is more than one."""
    return f"line {mark.line + 1}: " if mark is not None and mark.line else ""
