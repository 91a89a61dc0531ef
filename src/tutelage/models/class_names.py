"""Classes matched by name: WordNet ids, their lemmas, and plain names."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from tutelage.errors import TutelageError, nearest
from tutelage.paths import expand

_SHOWN = 3


def read_names(where: str) -> tuple[str, ...]:
    """Returns the names of a list of classes, in order.

    ``where`` is ``imagenet-1k`` (or another of the subsets that timm knows: ``imagenet-12k``, ``imagenet-21k``,
    ``imagenet-22k``), or a file: a JSON list, or one name a line. Raises :class:`TutelageError` where it is neither.
    """
    path = expand(where)
    if not path.is_file():
        from timm.data import ImageNetInfo

        try:
            return tuple(ImageNetInfo(where).label_names())
        except AssertionError:
            raise TutelageError(
                f"'{where}' is neither 'own', 'imagenet-1k' nor a file of class names (a JSON list, or one a line)"
            ) from None
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".json":
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    try:
        names = json.loads(text)
    except ValueError as error:
        raise TutelageError(f"'{where}' is not readable as JSON: {error}") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TutelageError(f"'{where}' must hold a JSON list of class names, in the order of the logits")
    return tuple(names)


def match_classes(wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    """Returns, for each class that is ``wanted``, the place among ``names`` of the one that is called the same.

    Case, spaces, hyphens and underscores do not count. A WordNet id (``n01440764``) goes by each of its lemmas too
    ("tench", "Tinca tinca"), and a list of synonyms by each of them; a class's whole name counts before its synonyms.

    Raises:
        TutelageError: a class has no counterpart (the nearest names are given), or several, or two share one.
    """
    whole: dict[str, list[int]] = {}
    synonyms: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        whole.setdefault(_plain(name), []).append(place)
        for synonym in _synonyms(name):
            synonyms.setdefault(synonym, []).append(place)
    places, problems = [], []
    for name in wanted:
        try:
            places.append(_place(name, whole, synonyms, names))
        except TutelageError as error:
            problems.append(str(error))
    if problems:
        more = f"\nand {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise TutelageError("\n".join(problems[:_SHOWN]) + more)
    for place in places:
        if places.count(place) > 1:
            others = " and ".join(f"'{other}'" for other, its in zip(wanted, places) if its == place)
            raise TutelageError(f"the classes {others} are all the model's '{described(names[place])}'")
    return places


def described(name: str) -> str:
    """Returns a class name, with the lemmas where it is a WordNet id: ``n01440764 (tench, Tinca tinca)``."""
    lemmas = _lemmas().get(name)
    return f"{name} ({lemmas})" if lemmas else name


def _place(name: str, whole: dict[str, list[int]], synonyms: dict[str, list[int]], names: Sequence[str]) -> int:
    own = _synonyms(name)
    exact = whole.get(_plain(name), [])
    found = exact if len(exact) == 1 else sorted({place for synonym in own for place in synonyms.get(synonym, [])})
    if not found:
        close = dict.fromkeys(described(names[synonyms[near][0]]) for each in own for near in nearest(each, synonyms))
        hint = f"the nearest are {'; '.join(list(close)[:_SHOWN])}" if close else "none has a similar name"
        raise TutelageError(f"class '{name}' is not among the model's {len(names)}: {hint}")
    if len(found) > 1:
        several = " and ".join(described(names[place]) for place in found)
        raise TutelageError(
            f"class '{name}' may be several of the model's: {several}. Rename it to the id of the one you mean"
        )
    return found[0]


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFC", name)).strip().casefold()


def _synonyms(name: str) -> list[str]:
    """The name, what it lists between commas, and the lemmas of a WordNet id, in their plain form."""
    listed = [name, *name.split(","), *_lemmas().get(name.strip(), "").split(",")]
    return list(dict.fromkeys(plain for each in listed if (plain := _plain(each))))


@cache
def _lemmas() -> dict[str, str]:
    """Lemmas by WordNet id, of all the classes of ImageNet."""
    from timm.data import ImageNetInfo

    # Together they have all that any of timm's lists has.
    lists = [ImageNetInfo(subset) for subset in ("imagenet-22k", "imagenet-21k-goog")]
    return {name: known.label_name_to_description(name) for known in lists for name in known.label_names()}
