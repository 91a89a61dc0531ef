"""From files and ``key=value`` words to validated settings, and back to YAML."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tutelage.config.explain import explain
from tutelage.config.sections import section_of
from tutelage.config.settings import with_new_methods
from tutelage.config.text import parse
from tutelage.errors import TutelageError, shortened

S = TypeVar("S", bound=BaseModel)
Tree = dict[str, Any]

LARGEST = 2**18
"""Bytes of a file of settings: YAML is slow to read, and something else may be named so."""


def load(kind: type[S], *layers: Mapping[str, Any] | str | Path) -> S:
    """Returns validated settings; later layers win over earlier ones, and all over the defaults.

    A layer is a mapping (nested, or with dotted keys), a path of a YAML file (``*.yaml``, ``*.yml``), or a word
    ``key=value`` with a dotted key and a YAML value, whose scalars are read as their setting wants them. A path may
    contain an equals sign if it exists or a slash comes before the sign. A plain value for a section is its
    name: ``data=cifar10`` is ``data.name=cifar10``. Methods registered since have theirs too.
    Raises :class:`TutelageError` for an unknown key or a value that does not fit.
    """
    kind = with_new_methods(kind)
    try:
        return kind.model_validate(_name_sections(kind, as_mapping(*layers)))
    except ValidationError as error:
        raise explain(error, kind) from None


def as_mapping(*layers: Mapping[str, Any] | str | Path) -> Tree:
    """Returns the layers (see :func:`load`) merged into one nested mapping, not yet validated."""
    tree: Tree = {}
    for layer in layers:
        for key, value in _entries(layer):
            _set(tree, key, value)
    return tree


def dump(settings: BaseModel) -> str:
    """Returns the settings as YAML that :func:`load` reads back to the same."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)


def _entries(layer: Mapping[str, Any] | str | Path) -> Iterable[tuple[str, Any]]:
    if isinstance(layer, Mapping):
        return [(str(key), value) for key, value in layer.items()]
    word = str(layer)
    if word.endswith((".yaml", ".yml")) and (isinstance(layer, Path) or is_path(word)):
        return _entries(read_yaml(Path(word)))
    if "=" in word and not isinstance(layer, Path):
        key, _, text = word.partition("=")
        if not key.strip():
            raise TutelageError(f"'{shortened(word)}' has no key before the =: give key=value")
        if key.endswith("."):
            raise TutelageError(f"'{shortened(word)}': a key ends with a name, not with a dot")
        return [(key, _value(key, text))]
    raise TutelageError(f"'{shortened(word)}' is neither key=value nor a YAML file (*.yaml)")


def is_path(word: str) -> bool:
    """Return whether a word is a path, which may contain an equals sign as the folders of a study do.

    >>> is_path("runs/seed=1"), is_path("photo.jpg"), is_path("data=runs/digits")
    (True, True, False)
    """
    key, equals, _ = word.partition("=")
    # No key has a separator, so a mistyped path is reported as a missing file, not as an unknown key.
    return not equals or "/" in key or os.sep in key or os.path.exists(os.path.expanduser(word))


def _value(key: str, text: str) -> Any:
    try:
        return parse(text) if text else None
    except ValueError as error:
        raise TutelageError(
            f"{key}={shortened(text)}: the value is not readable as YAML ({error}); to take it as it stands, quote it: "
            f"'{key}=\"{shortened(text)}\"'"
        ) from None


def read_yaml(path: Path) -> Tree:
    """Returns the keys and values of a YAML file; raises :class:`TutelageError` where it is none."""
    try:
        path = Path(os.path.expanduser(path))
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has {path.stat().st_size:,} bytes, and settings are a few lines of 'key: value'")
        tree = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TutelageError(f"there is no file {path}") from None
    except OSError as error:
        raise TutelageError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TutelageError(f"{path} is not readable as YAML: {error}") from None
    if not isinstance(tree, dict):
        found = "is empty" if tree is None else f"holds a {type(tree).__name__}"
        raise TutelageError(f"{path} {found}: it must have settings, one 'key: value' a line")
    return tree


def _set(tree: Tree, key: str, value: Any) -> None:
    """Merges ``value`` into ``tree``; a section and its bare name may come in either order.

    A section within a section takes its bare name too; else what a key of a section holds is replaced as a whole, and
    names in it keep their dots: ``at.taps={layer3.1.add: layer3}``. Paths become text, as names and weights are.
    """
    if isinstance(value, Path):
        value = str(value)
    name, dot, inner = key.partition(".")
    if dot:  # even if nothing follows: an empty name is an unknown key, not the section itself
        field, _, entry = inner.partition(".")
        section = _section(tree, name)
        before = section.get(field)
        if entry:
            section[field] = {**(before if isinstance(before, dict) else {}), entry: value}
        elif isinstance(before, dict) and isinstance(value, str):
            section[field] = {**before, "name": value}
        else:
            section[field] = value
    elif isinstance(value, Mapping):
        _section(tree, name)
        for field, content in value.items():
            _set(tree, f"{name}.{field}", content)
    elif isinstance(tree.get(name), dict) and value is not None:
        tree[name]["name"] = value
    else:
        tree[name] = value


def _section(tree: Tree, name: str) -> Tree:
    """Returns the section ``name`` of ``tree``, made where needed from its bare name."""
    if not isinstance(tree.get(name), dict):
        tree[name] = {} if tree.get(name) is None else {"name": tree[name]}
    return tree[name]


def _name_sections(kind: type[BaseModel], tree: Tree) -> Tree:
    """Writes out the short form ``section: name`` where the section has a name, or a list where it takes several."""
    named = {}
    for key, value in tree.items():
        section = section_of(kind, key)
        field = section.model_fields.get("name") if section is not None else None
        if field is not None and isinstance(value, (str, int, float)):
            value = {"name": str(value)}
        elif field is not None and isinstance(value, list) and field.annotation is not str:
            value = {"name": value}
        elif section is not None and isinstance(value, dict):
            value = _name_sections(section, value)
        named[key] = value
    return named
