"""Which keys of a settings model are sections, and every key there is."""

from __future__ import annotations

from pydantic import BaseModel


def section_of(kind: type[BaseModel], key: str) -> type[BaseModel] | None:
    """Returns the model of the section ``key`` of ``kind``, or None where the key is no section."""
    field = kind.model_fields.get(key)
    if field is None:
        return None
    options = getattr(field.annotation, "__args__", None) or (field.annotation,)
    return next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), None)


def keys(kind: type[BaseModel], prefix: str = "") -> list[str]:
    """Returns every dotted key of a settings model."""
    found = []
    for name in kind.model_fields:
        found.append(prefix + name)
        section = section_of(kind, name)
        if section is not None:
            found += keys(section, f"{prefix}{name}.")
    return found
