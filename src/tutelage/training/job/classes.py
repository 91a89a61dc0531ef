"""Models and data meet by the names of their classes, not by their order."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tutelage.data import ImageData
from tutelage.errors import TutelageError
from tutelage.models import match_classes


def class_places(wanted: Sequence[str], names: Sequence[str] | None, count: int) -> list[int]:
    """Return where, among the ``count`` classes of a model, each wanted class is.

    Classes are matched by name, as :func:`match_classes` does, and without the numbers before them (``1_cat``) where
    both sides stay unambiguous. The classes of a model without names are taken in their order if they are as many.

    Raises:
        TutelageError: a class has no counterpart.

    >>> class_places(["2_dog", "1_cat"], ["cat", "dog", "owl"], 3)
    [1, 0]
    """
    if names is None:
        if len(wanted) != count:
            raise TutelageError(f"the model has {count} classes without names, and the data {len(wanted)}")
        return list(range(count))
    places = {name: place for place, name in enumerate(names)}
    if all(name in places for name in wanted):
        return [places[name] for name in wanted]
    try:
        return match_classes(wanted, names)
    except TutelageError as error:
        bare, bare_names = _without_numbers(wanted), _without_numbers(names)
        places = {name: place for place, name in enumerate(bare_names)}
        unambiguous = len(places) == len(names) and len(set(bare)) == len(bare)
        if unambiguous and all(name in places for name in bare):
            return [places[name] for name in bare]
        raise error


def match_data(data: ImageData, names: Sequence[str] | None, count: int, model: str) -> ImageData:
    """Return the data with the classes of a model, in its order; images of classes they lack are none.

    Raises :class:`TutelageError`, naming the ``model``, if the data have a class that the model does not have.
    """
    if not data.classes:
        return data
    try:
        places = class_places(data.classes, names, count)
    except TutelageError as error:
        raise TutelageError(
            f"{model} and {data.name} do not have the same classes: {error}. Rename or remove the class folder, or "
            f"choose a model of these classes"
        ) from None
    if places == list(range(count)):
        return data
    return data.with_labels(places, tuple(names) if names is not None else data.classes)


def _without_numbers(names: Sequence[str]) -> list[str]:
    return [re.sub(r"^\d+[\s._-]+", "", name).casefold() for name in names]
