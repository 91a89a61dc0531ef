"""Write settings as ``key=value`` words and as a shell command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from tutelage.config.settings import RunSettings, TrainSettings
from tutelage.config.text import parse


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as a flat dictionary with dotted keys, as on the command line."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def command(settings: RunSettings) -> str:
    """Return the command line that reproduces these settings, quoted for a shell."""
    verb = "train" if isinstance(settings, TrainSettings) else "distill"
    return shlex.join(["tutelage", verb, *words(settings)])


def words(settings: RunSettings) -> list[str]:
    """Return ``key=value`` for every setting that differs from its default, as :func:`load` reads them."""
    return [f"{key.removesuffix('.name')}={_value(value)}" for key, value in _changed(settings, None)]


def _changed(settings: BaseModel, default: BaseModel | None) -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys and values of changed settings; a value that is a mapping, such as taps, is not split."""
    for name, value in settings:
        usual = _default(settings, name) if default is None else getattr(default, name)
        if isinstance(value, BaseModel):
            section = usual if isinstance(usual, BaseModel) else None
            yield from ((f"{name}.{inner}", changed) for inner, changed in _changed(value, section))
        elif value != usual:
            yield name, settings.model_dump(mode="json", include={name})[name]


def _default(settings: BaseModel, name: str) -> Any:
    field = type(settings).model_fields.get(name)
    return field.default if field is not None else type(getattr(settings, name))()  # a method's section


def _value(value: Any) -> str:
    # JSON is valid YAML. Strings that YAML would read as something else need quotes.
    return value if isinstance(value, str) and _plain(value) else json.dumps(value, ensure_ascii=False)


def _plain(text: str) -> bool:
    try:
        return parse(text) == text
    except ValueError:
        return False
