"""Choose the images on which a trained model is measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tutelage.paths import expand
from tutelage.runs import RunFolder
from tutelage.training.job.same_data import recorded_place
from tutelage.training.job.saved_settings import load_run

WHOLE = {"validation": 0.0, "fraction": 1.0, "labelled": 1.0}
"""Settings of data of which nothing is held out."""


def measured_data(data: Any, models: Sequence[str | Path], split: str | None = None) -> dict[str, Any]:
    """Return default settings of the data on which models are measured.

    Data without splits are measured as a whole, unless one of the models was trained on them: then only the images
    that the run held out are measured.

    Args:
        data: What the user set as ``data``: a name, a mapping, or None for the data of the first run.
        models: The models, of which those in run folders know their training data.
        split: The split to measure on, None for the test split or all images.
    """
    name = data.get("name") if isinstance(data, dict) else data
    runs = [path for model in models if RunFolder(path := expand(model)).is_run()]
    if name is not None:
        own = [run for model in models if (run := _run_of(expand(model))) is not None and _is_of(run, str(name))]
        whole = {} if own or split is not None else WHOLE
    else:
        own, whole = runs, {}
    known = next((load_run(run).data.model_dump(mode="json") for run in own or runs), {})
    return known | (WHOLE if split == "all" else whole)


def _run_of(path: Path) -> Path | None:
    """Return the run that a model belongs to: its folder, its student, or an exported file in it."""
    if not path.exists():
        return None
    return next((place for place in (path, *path.absolute().parents) if RunFolder(place).is_run()), None)


def _is_of(run: Path, name: str) -> bool:
    """Return whether the run was trained on these data."""
    places = (load_run(run).data.name, recorded_place(run))
    return any(name == place or _is_same(name, place) for place in places if place is not None)


def _is_same(one: str, other: str) -> bool:
    paths = expand(one), expand(other)
    return all(path.exists() for path in paths) and os.path.samefile(*paths)
