"""Read the JSON files of run folders, which may have been edited or truncated."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from tutelage.errors import TutelageError, shortened

T = TypeVar("T")


def read_json(path: Path, kind: type[T]) -> T:
    """Return the content of a JSON file, validated as ``kind``: a pydantic model or a plain type.

    Raises:
        TutelageError: If the file is unreadable or does not fit ``kind``; the message names the first mistake.
    """
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except OSError as error:
        raise TutelageError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise TutelageError(
            f"{path} is damaged or was edited by hand: {place}{': ' * bool(place)}{shortened(first['msg'])}"
        ) from None
