"""YAML in which plain scalars stay text: what one means is decided by the setting that it is given to."""

from __future__ import annotations

import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"


class _TextLoader(yaml.SafeLoader):
    """Reads mappings, lists, text and null; a folder called ``2011_09_26``, ``yes`` or ``007`` keeps its name.

    Infinities and not-a-number keep YAML's spelling (``.inf``). Every other tag is refused, so no object is ever made.
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


_TextLoader.add_implicit_resolver(f"{_TAG}float", re.compile(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN)$"), list("-+."))


def parse(text: str) -> Any:
    """Returns what the YAML says, with text for scalars; raises ValueError, with the reason, where it is no YAML."""
    try:
        return yaml.load(text, Loader=_TextLoader)
    except yaml.YAMLError as error:
        raise ValueError(_reason(error)) from None


def _reason(error: yaml.YAMLError) -> str:
    parts = (getattr(error, name, None) for name in ("context", "problem", "reason"))
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}: " if mark is not None and mark.line else ""
    return place + ", ".join(part for part in parts if part)
