"""Explain validation errors: name the value, the place and the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from tutelage.config.sections import Key, keys, section_of
from tutelage.errors import LONGEST, TutelageError, nearest, shortened

SHOWN = 10
"""Maximum number of mistakes in one message."""

_WAYS_OUT = {
    "dict_type": "set pairs, as in {key}={{layer2: layer3}}",
    "tuple_type": "set a list, as in {key}=[…, …]",
    "path_type": "set the path of a folder",
}

_UNION_MEMBER = re.compile(r"(constrained-\w+|literal\[.*\]|int|float|bool|str)$")
"""The part that pydantic appends to an error's location for a member of a union."""


def explain(error: ValidationError, kind: type[BaseModel]) -> TutelageError:
    """Return the error to raise, with one line per mistake in the settings, up to ``SHOWN``."""
    details = _of_unions(error.errors())
    lines = dict.fromkeys(_line(detail, kind) for detail in details[:SHOWN])
    more = [f"and {len(details) - SHOWN} more"] if len(details) > SHOWN else []
    return TutelageError("\n".join([*lines, *more]))


def _of_unions(details: list[Any]) -> list[Any]:
    """Join the errors of a value that fits no member of a union into one."""
    joined: dict[tuple[Any, ...], Any] = {}
    for detail in details:
        place = tuple(part for part in detail["loc"] if not (isinstance(part, str) and _UNION_MEMBER.match(part)))
        if place in joined and place != detail["loc"]:
            allowed = detail["msg"].removeprefix("Input should be ")
            joined[place] = {**joined[place], "msg": f"{joined[place]['msg']}, or {allowed}"}
        else:
            joined[place] = {**detail, "loc": place}
    return list(joined.values())


def _line(detail: Any, kind: type[BaseModel]) -> str:
    *around, last = detail["loc"]
    missing = detail["type"] == "missing"
    # A missing element is reported as a mistake in its list.
    key = ".".join(map(str, around if missing and isinstance(last, int) else detail["loc"]))
    value = "null" if detail["input"] is None else shortened(detail["input"])
    if detail["type"] == "extra_forbidden":
        return f"unknown key '{shortened(key)}': {_suggestion(key, keys(kind))}"
    if missing and isinstance(last, int):
        return f"{key}={value}: set {last + 1} or more values"
    if missing:
        short = key.removesuffix(".name")
        return f"{short} is missing; set {short}=…"
    if detail["type"] == "model_type":
        return f"{key}={value}: {_section_way_out(key, section_of(kind, key))}"
    message = detail["msg"].removeprefix("Value error, ")
    if message.startswith(f"{key}="):
        return message
    if detail["type"] == "literal_error":
        expected = [word.strip("'") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        close = nearest(value, expected)
        message += f"; did you mean {close[0]}?" if close else ""
    if detail["type"] in _WAYS_OUT:
        message = _WAYS_OUT[detail["type"]].format(key=key)
    # If settings of a section conflict, the message already names them.
    together = detail["type"] == "value_error" and isinstance(detail["input"], Mapping)
    return f"{key}: {message}" if together else f"{key}={value}: {message}"


def _section_way_out(key: str, section: type[BaseModel] | None) -> str:
    names = list(section.model_fields) if section is not None else []
    if "name" in names:
        return f"set a name, {key}=NAME"
    return f"{key} is a section; set {', '.join(f'{key}.{name}=…' for name in names)}"


def _suggestion(key: str, known: list[Key]) -> str:
    """Suggest a key by its spelling, in its section or another, or by its description."""
    section, _, name = key[:LONGEST].rpartition(".")
    beside = [other.name for other in known if other.name.rpartition(".")[0] == section]
    elsewhere = [other.name for other in known if other.name.rpartition(".")[2] == name]
    typo = _spelt_like(name, beside, 0.8) if section else []
    if typo or elsewhere:
        return f"did you mean {' or '.join(typo or elsewhere)}?"
    close = (
        _spelt_like(name, beside, 0.6)
        or _spelt_like(name, [other.name for other in known], 0.75)
        or [other.name for other in known if _describes(other.description, name)]
    )
    return f"did you mean {' or '.join(close[:3])}?" if close else f"known: {', '.join(sorted(beside))}"


def _spelt_like(name: str, candidates: Iterable[str], cutoff: float) -> list[str]:
    """Return the dotted candidates whose last part is most similar to ``name``."""
    by_last: dict[str, list[str]] = {}
    for candidate in candidates:
        by_last.setdefault(candidate.rpartition(".")[2], []).append(candidate)
    close = get_close_matches(name, by_last, n=1, cutoff=cutoff)
    return by_last[close[0]] if close else []


def _describes(description: str, name: str) -> bool:
    """Return whether the description contains every word of ``name`` (``learning_rate``), allowing for typos."""
    said = re.findall(r"\w+", description)
    words = name.lower().split("_")
    return all(len(word) > 2 and get_close_matches(word, said, n=1, cutoff=0.85) for word in words)
