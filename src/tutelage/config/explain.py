"""Turns a validation error into one message that names the value, the place, and the way out."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from tutelage.config.sections import keys
from tutelage.errors import TutelageError, nearest


def explain(error: ValidationError, kind: type[BaseModel]) -> TutelageError:
    """Returns the error to show: one line for each thing that is wrong with the settings."""
    return TutelageError("\n".join(dict.fromkeys(_line(detail, kind) for detail in error.errors())))


def _line(detail: Any, kind: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        names = [known.name for known in keys(kind)]
        close = nearest(key, names) or nearest(key.split(".")[-1], names)
        known = ", ".join(sorted(kind.model_fields))
        return f"unknown key '{key}': " + (f"did you mean {' or '.join(close)}?" if close else f"known: {known}")
    if detail["type"] == "missing":
        return f"{key} is missing: give {key}=…"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "literal_error":
        expected = [word.strip("'") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        close = nearest(str(detail["input"]), expected)
        message += f"; did you mean {close[0]}?" if close else ""
    return f"{key}={detail['input']}: {message}"
