"""Load validated settings from settings files and ``key=value`` words, and dump them as YAML."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tutelage.config.explain import explain
from tutelage.config.sections import section_of
from tutelage.config.text import parse, to_yaml
from tutelage.errors import TutelageError, shortened

S = TypeVar("S", bound=BaseModel)
Tree = dict[str, Any]

LARGEST = 2**18
"""Maximum size of a settings file in bytes: YAML is slow to parse, and a larger file is not a settings file."""

SUFFIXES = (".yaml", ".yml")
"""Suffixes of settings files."""


def load(kind: type[S], *layers: Mapping[str, Any] | str | Path) -> S:
    """Return validated settings; layers override the defaults, and later layers override earlier ones.

    A plain value for a section sets its name: ``data=cifar10`` means ``data.name=cifar10``.

    Args:
        kind: Class of the settings.
        layers: Mappings (nested, or with dotted keys), paths of YAML files (``*.yaml``, ``*.yml``), and words
            ``key=value`` with a dotted key and a YAML value, whose scalars are converted to the type of the setting.

    Raises:
        TutelageError: If a key is unknown or a value is invalid.
    """
    try:
        return kind.model_validate(_name_sections(kind, as_mapping(*layers)))
    except ValidationError as error:
        raise explain(error, kind) from None


def as_mapping(*layers: Mapping[str, Any] | str | Path) -> Tree:
    """Return the layers (see :func:`load`) merged into one nested mapping, not yet validated."""
    tree: Tree = {}
    for layer in layers:
        for key, value in _entries(layer):
            _set(tree, key, value)
    return tree


def dump(settings: BaseModel) -> str:
    """Return the settings as YAML, from which :func:`load` restores them."""
    return to_yaml(settings.model_dump(mode="json"))


def sort_words(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Split a command line into names and settings.

    A word is a setting if it is ``key=value`` or a settings file. Any other word names a folder, file, model or recipe.
    A path may contain an equals sign, like the run folders of a study, if it exists or has a separator before the sign.

    Example:
        >>> sort_words(["runs/seed=1", "photo.jpg", "data=runs/digits", "my.yaml"])
        (['runs/seed=1', 'photo.jpg'], ['data=runs/digits', 'my.yaml'])
    """
    names: list[str] = []
    settings: list[str] = []
    for word in words:
        (settings if _is_file(word) or not _is_path(word) else names).append(word)
    return names, settings


def _is_file(word: str) -> bool:
    return word.endswith(SUFFIXES) and _is_path(word)


def _is_path(word: str) -> bool:
    key, equals, _ = word.partition("=")
    # Keys have no separators, so a mistyped path is reported as a missing file, not as an unknown key.
    return not equals or "/" in key or os.sep in key or os.path.exists(os.path.expanduser(word))


def _entries(layer: Mapping[str, Any] | str | Path) -> Iterable[tuple[str, Any]]:
    if isinstance(layer, Mapping):
        return [(str(key), value) for key, value in layer.items()]
    word = str(layer)
    if _is_file(word) or (isinstance(layer, Path) and word.endswith(SUFFIXES)):
        return _entries(read_yaml(Path(word)))
    if "=" in word and not isinstance(layer, Path):
        key, _, text = word.partition("=")
        if not key.strip():
            raise TutelageError(f"'{shortened(word)}' has no key before the =; write key=value")
        if key.endswith("."):
            raise TutelageError(f"'{shortened(word)}': a key cannot end with a dot; write key=value")
        return [(key, _value(key, text))]
    raise TutelageError(f"'{shortened(word)}' is neither key=value nor a YAML file (*.yaml)")


def _value(key: str, text: str) -> Any:
    try:
        return parse(text) if text else None
    except ValueError as error:
        raise TutelageError(
            f"{key}={shortened(text)}: the value is not readable as YAML ({error}); to use it literally, quote it: "
            f"'{key}=\"{shortened(text)}\"'"
        ) from None


def read_yaml(path: Path) -> Tree:
    """Return the keys and values of a settings file.

    Raises:
        TutelageError: If the file is missing, unreadable, too large, or not a YAML mapping.
    """
    try:
        path = Path(os.path.expanduser(path))
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has {path.stat().st_size:,} bytes; settings files have at most {LARGEST:,}")
        tree = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TutelageError(f"{path} does not exist; check the path") from None
    except OSError as error:
        raise TutelageError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise TutelageError(f"{path} is not readable as YAML: {error}") from None
    if not isinstance(tree, dict):
        found = "is empty" if tree is None else f"holds a {type(tree).__name__}"
        raise TutelageError(f"{path} {found}; write one setting per line, as 'key: value'")
    return tree


def _set(tree: Tree, key: str, value: Any) -> None:
    """Merge ``value`` into ``tree``; a section's settings and its bare name may come in either order.

    This also applies to a section within a section. Any other value in a section is replaced as a whole, and keys in
    it keep their dots: ``at.taps={layer3.1.add: layer3}``. Paths become strings, like names and weights.
    """
    if isinstance(value, Path):
        value = str(value)
    name, dot, inner = key.partition(".")
    if dot:  # even if nothing follows it: "data." is an unknown key, not the section
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
    """Return the section ``name`` of ``tree``, and create it, from its bare name if it has one."""
    if not isinstance(tree.get(name), dict):
        tree[name] = {} if tree.get(name) is None else {"name": tree[name]}
    return tree[name]


def _name_sections(kind: type[BaseModel], tree: Tree) -> Tree:
    """Expand the short form ``section: name`` of each section that has a name."""
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
