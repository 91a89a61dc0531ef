"""Which keys of a settings model are sections, and every key there is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel


def section_of(kind: type[BaseModel], key: str) -> type[BaseModel] | None:
    """Returns the model of the section ``key`` of ``kind``, or None where the key is no section."""
    field = kind.model_fields.get(key)
    if field is None:
        return None
    options = getattr(field.annotation, "__args__", None) or (field.annotation,)
    return next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), None)


class Key(NamedTuple):
    """A dotted key, its default as YAML (empty where it must be given), and what it means."""

    name: str
    default: str
    description: str


def keys(kind: type[BaseModel], prefix: str = "") -> list[Key]:
    """Returns every key of a settings model, sections before what nests in them."""
    found = []
    for name, field in kind.model_fields.items():
        section = section_of(kind, name)
        default = "" if field.is_required() or section is not None else _shown(field.default)
        found.append(Key(prefix + name, default, field.description or _first_line(section)))
        if section is not None:
            found += keys(section, f"{prefix}{name}.")
    return found


def _shown(value: object) -> str:
    plain = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
    return yaml.safe_dump(plain, default_flow_style=True).split("\n")[0]


def _first_line(section: type[BaseModel] | None) -> str:
    return (section.__doc__ or "").strip().split("\n")[0] if section is not None else ""
