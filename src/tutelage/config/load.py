"""From files and ``key=value`` words to validated settings, and back to YAML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tutelage.config.explain import explain
from tutelage.config.sections import section_of
from tutelage.errors import TutelageError

S = TypeVar("S", bound=BaseModel)
Tree = dict[str, Any]


def load(kind: type[S], *layers: Mapping[str, Any] | str | Path) -> S:
    """Returns validated settings; later layers win over earlier ones, and all over the defaults.

    A layer is a mapping (nested, or with dotted keys), a path of a YAML file (``*.yaml``, ``*.yml``), or a word
    ``key=value`` with a dotted key and a YAML value. A plain value for a section is its name: ``data=cifar10`` is
    ``data.name=cifar10``. Raises :class:`TutelageError` for an unknown key or a value that does not fit.
    """
    try:
        return kind.model_validate(_name_sections(kind, as_mapping(*layers)))
    except ValidationError as error:
        raise explain(error, kind) from None


def as_mapping(*layers: Mapping[str, Any] | str | Path) -> Tree:
    """Returns the layers (see :func:`load`) merged into one nested mapping, not yet validated."""
    tree: Tree = {}
    for layer in layers:
        for key, value in _entries(layer):
            _set(tree, key.split("."), value)
    return tree


def dump(settings: BaseModel) -> str:
    """Returns the settings as YAML that :func:`load` reads back to the same."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)


def _entries(layer: Mapping[str, Any] | str | Path) -> Iterable[tuple[str, Any]]:
    if isinstance(layer, Mapping):
        return [(str(key), value) for key, value in layer.items()]
    word = str(layer)
    if "=" in word and not isinstance(layer, Path):
        key, _, value = word.partition("=")
        return [(key, _scalar(key, value))]
    if word.endswith((".yaml", ".yml")):
        return read_yaml(Path(word)).items()
    raise TutelageError(f"'{word}' is neither key=value nor a YAML file (*.yaml)")


def _scalar(key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text) if text else None
    except yaml.YAMLError as error:
        raise TutelageError(f"{key}={text}: the value is not readable as YAML ({error})".replace("\n", " ")) from None


def read_yaml(path: Path) -> Tree:
    """Returns the keys and values of a YAML file; raises :class:`TutelageError` where it is none."""
    try:
        tree = yaml.safe_load(path.expanduser().read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TutelageError(f"there is no file {path}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TutelageError(f"{path} is not readable as YAML: {error}") from None
    if not isinstance(tree, dict):
        raise TutelageError(f"{path} holds {type(tree).__name__}, not keys and values")
    return tree


def _set(tree: Tree, keys: list[str], value: Any) -> None:
    """Merges ``value`` into ``tree``; a section and its bare name may come in either order."""
    key, *rest = keys
    if rest or isinstance(value, Mapping):
        section = tree.get(key)
        if not isinstance(section, dict):
            section = tree[key] = {} if section is None else {"name": section}
        for part, inner in [(rest, value)] if rest else [(str(name).split("."), part) for name, part in value.items()]:
            _set(section, list(part), inner)
    elif isinstance(tree.get(key), dict) and value is not None:
        tree[key]["name"] = value
    else:
        tree[key] = value


def _name_sections(kind: type[BaseModel], tree: Tree) -> Tree:
    """Writes out the short form ``section: name`` where the section has a name."""
    named = {}
    for key, value in tree.items():
        section = section_of(kind, key)
        short = section is not None and "name" in section.model_fields and isinstance(value, (str, int, float, Path))
        named[key] = {"name": str(value)} if short else value
    return named
