"""List the keys of a settings class and find its sections."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel

from tutelage.methods import METHODS, Method


def method_sections(kind: type[BaseModel]) -> dict[str, type[Method]]:
    """Return the registered methods that have settings, by name, if ``kind`` accepts settings of methods."""
    if kind.model_config.get("extra") != "allow":
        return {}
    return {name: METHODS[name] for name in METHODS if METHODS[name].model_fields and name not in kind.model_fields}


def section_of(kind: type[BaseModel], key: str) -> type[BaseModel] | None:
    """Return the model of the section ``key`` of ``kind``, or None if the key is not a section."""
    field = kind.model_fields.get(key)
    if field is None:
        return method_sections(kind).get(key)
    options = getattr(field.annotation, "__args__", None) or (field.annotation,)
    return next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), None)


class Key(NamedTuple):
    """A dotted key, its default as YAML (empty if it is required), and its description."""

    name: str
    default: str
    description: str


def keys(kind: type[BaseModel], prefix: str = "") -> list[Key]:
    """Return every key of a settings class, each section followed by its keys."""
    found = []
    for name, field in kind.model_fields.items():
        section = section_of(kind, name)
        default = "" if field.is_required() or section is not None else _shown(field.default)
        found.append(Key(prefix + name, default, field.description or _first_line(section)))
        if section is not None:
            found += keys(section, f"{prefix}{name}.")
    for name, method in method_sections(kind).items():
        found += [Key(name, "", _first_line(method)), *keys(method, f"{name}.")]
    return found


def _shown(value: object) -> str:
    plain = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
    return yaml.safe_dump(plain, default_flow_style=True).split("\n")[0]


def _first_line(section: type[BaseModel] | None) -> str:
    return (section.__doc__ or "").strip().split("\n")[0] if section is not None else ""
