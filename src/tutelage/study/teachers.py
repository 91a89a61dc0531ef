"""A teacher that is to be fine-tuned is so once, for all runs of a study."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tutelage.study.grid import Cell, slug
from tutelage.training.job import finetuned, to_finetune


def share_teachers(cells: Iterable[Cell], folder: Path) -> tuple[list[Cell], dict[Path, Any]]:
    """Returns the runs with the outcome of ``teacher.finetune`` as their teacher, and what has to be done for it.

    The latter maps each run folder, in ``folder``, to settings for :func:`tutelage.training.prepare_teacher`.
    """
    ready: list[Cell] = []
    places: dict[str, Path] = {}
    needed: dict[Path, Any] = {}
    for cell in cells:
        teacher = to_finetune(cell.settings)
        if teacher is not None:
            name = f"{slug(teacher.names[0])}-{teacher.finetune}-{len(places)}"
            place = places.setdefault(teacher.model_dump_json(), folder / name)
            needed.setdefault(place, cell.settings)
            cell = replace(cell, settings=cell.settings.model_copy(update={"teacher": finetuned(place)}))
        ready.append(cell)
    return ready, needed
