"""YAML in which plain scalars stay strings, so that each setting decides how to read its value."""

from __future__ import annotations

import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"


class _TextLoader(yaml.SafeLoader):
    """Load mappings, lists, strings and null; a folder called ``2011_09_26``, ``yes`` or ``007`` keeps its name.

    Only ``.inf`` and ``.nan`` become numbers. Every other tag is rejected, so no object is ever created. Aliases are
    rejected too, because a few lines of them can expand to billions of values.
    """

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag == f"{_TAG}null"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.removeprefix(_TAG) in ("map", "seq", "str", "null", "float")
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias = self.get_event()
            raise ValueError(f"{_line(alias.start_mark)}*{alias.anchor} is an alias; write the value out instead")
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise ValueError(f"{_line(key.start_mark)}'{key.value}' appears twice; remove one")
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return node


_TextLoader.add_implicit_resolver(f"{_TAG}float", re.compile(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN)$"), list("-+."))


class _Dumper(yaml.SafeDumper):
    """Write repeated values in full, because the loader rejects aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def parse(text: str) -> Any:
    """Return the content of YAML, with scalars as strings.

    Raises:
        ValueError: If the text is not valid YAML, has an alias, or has a key twice; the message is the reason.
    """
    try:
        return _TextLoader(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(_reason(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def to_yaml(tree: Any) -> str:
    """Return plain values as YAML; keys keep their order."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False)


def _reason(error: yaml.YAMLError) -> str:
    parts = (getattr(error, name, None) for name in ("context", "problem", "reason"))
    return _line(getattr(error, "problem_mark", None)) + ", ".join(part for part in parts if part)


def _line(mark: yaml.Mark | None) -> str:
    """Return the line number of a mark as a prefix, empty for the first line."""
    return f"line {mark.line + 1}: " if mark is not None and mark.line else ""
