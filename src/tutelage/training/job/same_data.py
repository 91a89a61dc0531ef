"""A run resumes on the data that it began with: the same classes, images and split."""

from __future__ import annotations

import json
from pathlib import Path

from tutelage.config import RunSettings
from tutelage.data import ImageData
from tutelage.errors import TutelageError
from tutelage.paths import expand


def describe_data(data: ImageData) -> dict[str, object]:
    """Return what a run records to recognize its data: the number of images of each split, and a hash of all files."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    counts = {name: len(split) for name, split in splits.items() if split is not None}
    return {"images": counts, "fingerprint": data.fingerprint}


def record_data(data: ImageData, name: str) -> dict[str, object]:
    """Return what a run keeps of its data: how to recognize them, and where they are; None if they have no place."""
    place = expand(name)
    return {**describe_data(data), "place": str(place.absolute()) if place.exists() else None}


def check_moved(settings: RunSettings, path: Path) -> None:
    """Raise :class:`TutelageError` if the data of the run in ``path`` were in a folder that no longer exists."""
    name = settings.data.name
    place = _recorded(path).get("place") or (name if Path(name).expanduser().is_absolute() else None)
    if place is not None and not expand(name).exists():
        raise TutelageError(
            f"{path} was trained on data={name}, in {place}, and there is no {expand(name).absolute()} now. Pass the "
            f"new place of the data: tutelage resume {path} data=…"
        )


def check_same_data(data: ImageData, path: Path) -> None:
    """Compare the data with those that the run in ``path`` began with; runs of 0.1 recorded only the classes.

    Raises:
        TutelageError: a class or an image was added, removed, renamed or changed.
    """
    remedy = "Restore the data to resume, or start a new run on them with another out=…"
    classes = json.loads((path / "classes.json").read_text("utf-8"))
    if list(data.classes) != classes:
        added = ", ".join(sorted(set(data.classes) - set(classes))) or "none"
        removed = ", ".join(sorted(set(classes) - set(data.classes))) or "none"
        raise TutelageError(
            f"the classes of {data.name} changed since {path} began (added: {added}; removed: {removed}). {remedy}"
        )
    before, now = _recorded(path), describe_data(data)
    if any(before.get(key, now[key]) != now[key] for key in ("images", "fingerprint")):
        raise TutelageError(
            f"the images of {data.name} changed since {path} began: there were {_counted(before['images'])}, now there "
            f"are {_counted(now['images'])}; names, sizes and times of the files count (cp -a keeps them). {remedy}"
        )


def _recorded(path: Path) -> dict[str, object]:
    """Return what the run in ``path`` recorded of its data; runs of 0.1 did not."""
    file = path / "data.json"
    recorded: dict[str, object] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return recorded


def _counted(images: object) -> str:
    assert isinstance(images, dict)
    return ", ".join(f"{count} ({split})" for split, count in images.items())
