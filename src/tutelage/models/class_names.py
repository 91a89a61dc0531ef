"""Match classes by name: WordNet ids, their lemmas and plain names."""

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
    """Return the class names of a list, in order.

    Args:
        where: ``imagenet-1k`` or another subset that timm knows (``imagenet-12k``, ``imagenet-21k``, ``imagenet-22k``),
            or a file: a JSON list, or text with one name per line.

    Returns:
        The names, one per class.

    Raises:
        TutelageError: If ``where`` is neither a known subset nor a readable list.

    Example:
        >>> from tutelage.models import read_names
        >>> read_names("imagenet-1k")[:2]
        ('n01440764', 'n01443537')
    """
    path = expand(where)
    if not path.is_file():
        from timm.data import ImageNetInfo

        try:
            return tuple(ImageNetInfo(where).label_names())
        except AssertionError:
            raise TutelageError(
                f"'{where}' is not a list of class names; use 'own', 'imagenet-1k' or a file (JSON list or one name "
                f"per line)"
            ) from None
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".json":
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    try:
        names = json.loads(text)
    except ValueError as error:
        raise TutelageError(f"'{where}' is not valid JSON ({error}); fix the file or use one name per line") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TutelageError(f"'{where}' must hold a JSON list of class names, in the order of the logits")
    return tuple(names)


def match_classes(wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the index in ``names`` of each wanted class.

    Case, spaces, hyphens and underscores are ignored. A WordNet id (``n01440764``) also matches by each of its lemmas
    ("tench", "Tinca tinca"), and a comma-separated list by each of its synonyms. An exact match of the whole name wins
    over synonyms.

    Args:
        wanted: Names to look up.
        names: Names of the model's classes, in the order of the logits.

    Returns:
        One index per wanted class.

    Raises:
        TutelageError: If a class has no match (the nearest names are listed) or several, or two classes share one.

    Example:
        >>> from tutelage.models import match_classes
        >>> match_classes(["Tabby cat", "dog"], ["dog", "tabby_cat", "owl"])
        [1, 0]
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
            raise TutelageError(
                f"the classes {others} all match the model's class '{described(names[place])}'; rename all but one"
            )
    return places


def described(name: str) -> str:
    """Return a class name, followed by its lemmas if it is a WordNet id.

    Example:
        >>> from tutelage.models import described
        >>> described("n01440764")
        'n01440764 (tench, Tinca tinca)'
    """
    lemmas = _lemmas().get(name)
    return f"{name} ({lemmas})" if lemmas else name


def _place(name: str, whole: dict[str, list[int]], synonyms: dict[str, list[int]], names: Sequence[str]) -> int:
    own = _synonyms(name)
    exact = whole.get(_plain(name), [])
    found = exact if len(exact) == 1 else sorted({place for synonym in own for place in synonyms.get(synonym, [])})
    if not found:
        close = dict.fromkeys(described(names[synonyms[near][0]]) for each in own for near in nearest(each, synonyms))
        hint = f"the nearest are {'; '.join(list(close)[:_SHOWN])}" if close else "none has a similar name"
        raise TutelageError(f"class '{name}' is not among the model's {len(names)} classes; {hint}")
    if len(found) > 1:
        several = " and ".join(described(names[place]) for place in found)
        raise TutelageError(
            f"class '{name}' matches several of the model's: {several}. Rename it to the id of the right one"
        )
    return found[0]


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFC", name)).strip().casefold()


def _synonyms(name: str) -> list[str]:
    """Return the plain forms of a name, its comma-separated parts and the lemmas of a WordNet id."""
    listed = [name, *name.split(","), *_lemmas().get(name.strip(), "").split(",")]
    return list(dict.fromkeys(plain for each in listed if (plain := _plain(each))))


@cache
def _lemmas() -> dict[str, str]:
    """Return the lemmas of all ImageNet classes by WordNet id."""
    from timm.data import ImageNetInfo

    # These two lists cover all of timm's subsets.
    lists = [ImageNetInfo(subset) for subset in ("imagenet-22k", "imagenet-21k-goog")]
    return {name: known.label_name_to_description(name) for known in lists for name in known.label_names()}
