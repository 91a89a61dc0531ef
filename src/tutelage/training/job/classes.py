"""Match the classes of models and data by name, not by order."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tutelage.data import ImageData
from tutelage.errors import TutelageError
from tutelage.models import match_classes


def class_places(wanted: Sequence[str], names: Sequence[str] | None, count: int) -> list[int]:
    """Return the index of each wanted class among the ``count`` classes of a model.

    Classes are matched by name as in ``match_classes``. Leading numbers (``1_cat``) are ignored if both sides stay
    unambiguous. A model without class names matches in order if the number of classes is the same.

    Raises:
        TutelageError: If a class has no match.

    Example:
        >>> class_places(["2_dog", "1_cat"], ["cat", "dog", "owl"], 3)
        [1, 0]
    """
    if names is None:
        if len(wanted) != count:
            raise TutelageError(f"the model has {count} classes without names, and the data have {len(wanted)} classes")
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
    """Return the data with the classes of a model, in the model's order; classes missing in the data have no images.

    Raises:
        TutelageError: If the data have a class that the ``model`` does not have.
    """
    if not data.classes:
        return data
    try:
        places = class_places(data.classes, names, count)
    except TutelageError as error:
        raise TutelageError(
            f"{model} and {data.name} do not have the same classes: {error}. Rename or remove the class folder, or use "
            f"a model with these classes"
        ) from None
    if places == list(range(count)):
        return data
    return data.with_labels(places, tuple(names) if names is not None else data.classes)


def _without_numbers(names: Sequence[str]) -> list[str]:
    return [re.sub(r"^\d+[\s._-]+", "", name).casefold() for name in names]
