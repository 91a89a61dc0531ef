"""Check that a run resumes with the same classes, images and split."""

from __future__ import annotations

import json
from pathlib import Path

from tutelage.config import RunSettings, dump
from tutelage.data import ImageData, open_data
from tutelage.errors import TutelageError
from tutelage.paths import expand
from tutelage.runs import RunFolder
from tutelage.training.job.finetuning import FOLDER
from tutelage.training.job.saved_settings import load_run


def describe_data(data: ImageData) -> dict[str, object]:
    """Return the number of images per split and a hash of all files, to recognize the data later."""
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    counts = {name: len(split) for name, split in splits.items() if split is not None}
    return {"images": counts, "fingerprint": data.fingerprint}


def record_data(data: ImageData, name: str) -> dict[str, object]:
    """Return the description of the data with their ``place`` on disk, or None if they are not files."""
    place = expand(name)
    return {**describe_data(data), "place": str(place.absolute()) if place.exists() else None}


def check_moved(settings: RunSettings, path: Path) -> None:
    """Check that the data of the run in ``path`` are still where they were.

    Raises:
        TutelageError: If their file or folder no longer exists.
    """
    name = settings.data.name
    place = recorded_place(path) or (name if Path(name).expanduser().is_absolute() else None)
    if place is not None and not expand(name).exists():
        raise TutelageError(
            f"{path}: data={name} no longer exists (it was in {place}). Pass the new location: "
            f"tutelage resume {path} data=…"
        )


def move_data(settings: RunSettings, path: Path, place: str | Path, records: bool) -> tuple[RunSettings, ImageData]:
    """Open the data of the run in ``path`` at their new place.

    Args:
        settings: The settings of the run.
        path: The run folder.
        place: The new file or folder of the data.
        records: Whether this process records the new place in the run folder.

    Returns:
        The settings with the new place, and the data.

    Raises:
        TutelageError: If the data are not the same.
    """
    data = open_data(_at(settings, place).data)
    check_same_data(data, path)
    for folder in (RunFolder(path), RunFolder(path / FOLDER)):  # a fine-tuned teacher uses the same data
        if records and folder.is_run():
            folder.write_text("config.yaml", dump(_at(load_run(folder.path), place)))
            folder.write_json("data.json", record_data(data, str(place)))
    return _at(settings, place), data


def _at(settings: RunSettings, place: str | Path) -> RunSettings:
    """Return the settings with another place of the data."""
    return settings.model_copy(update={"data": settings.data.model_copy(update={"name": str(place)})})


def check_same_data(data: ImageData, path: Path) -> None:
    """Check that the data have not changed since the run in ``path`` started; runs of 0.1 only recorded the classes.

    Raises:
        TutelageError: If a class or an image was added, removed, renamed or changed.
    """
    remedy = "Restore the data to resume, or start a new run with another out=…"
    classes = json.loads((path / "classes.json").read_text("utf-8"))
    if list(data.classes) != classes:
        added = ", ".join(sorted(set(data.classes) - set(classes))) or "none"
        removed = ", ".join(sorted(set(classes) - set(data.classes))) or "none"
        raise TutelageError(
            f"the classes of {data.name} changed since {path} started (added: {added}; removed: {removed}). {remedy}"
        )
    before, now = _recorded(path), describe_data(data)
    if any(before.get(key, now[key]) != now[key] for key in ("images", "fingerprint")):
        raise TutelageError(
            f"the images of {data.name} changed since {path} started: {_counted(before['images'])} then, "
            f"{_counted(now['images'])} now; file names, sizes and times are compared (cp -a keeps them). {remedy}"
        )


def recorded_place(path: Path) -> str | None:
    """Return where the data of the run in ``path`` were when it started, or None if they are not files or unknown."""
    place = _recorded(path).get("place")
    return str(place) if place is not None else None


def _recorded(path: Path) -> dict[str, object]:
    """Return the description of the data that the run in ``path`` recorded; empty for runs of 0.1."""
    file = path / "data.json"
    recorded: dict[str, object] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return recorded


def _counted(images: object) -> str:
    assert isinstance(images, dict)
    return ", ".join(f"{count} ({split})" for split, count in images.items())
