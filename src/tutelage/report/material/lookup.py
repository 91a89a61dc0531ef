"""Find the data and teacher of a run in their current place, and check that they have not changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tutelage.config import TeacherSettings, load
from tutelage.data import DataSettings, ImageData, list_datasets, open_data
from tutelage.distillation import BaseTeacher
from tutelage.errors import TutelageError
from tutelage.report.material.run import Run
from tutelage.training.job import FOLDER, build_teacher, finetuned


def find_data(run: Run, name: str | None) -> ImageData:
    """Open the data of the run, from ``name`` if they were moved.

    Raises:
        TutelageError: If the data cannot be opened or lack the measured split.
    """
    settings = load(DataSettings, run.config["data"], {"name": name or locate(run.data_name, run.folder)})
    data = open_data(settings)
    if data.headline[0] != run.result.split:
        raise TutelageError(f"{data.name} no longer has a {run.result.split} split; set data to the original images")
    return data


def find_teacher(run: Run, data: ImageData) -> BaseTeacher | None:
    """Build the teacher of the run; return None if it has none.

    Raises:
        TutelageError: If the teacher is missing or its weights have changed.
    """
    if not run.config.get("teacher"):
        return None
    settings = load(TeacherSettings, run.config["teacher"])
    teacher = build_teacher(located_teacher(settings, run.folder), data)
    if run.teacher and _hashes(teacher.identity()) != _hashes(run.teacher):
        raise TutelageError(f"the weights of teacher={', '.join(settings.names)} have changed since this run")
    return teacher


def located_teacher(settings: TeacherSettings, folder: Path) -> TeacherSettings:
    """Return the teacher's settings with paths that are valid from here; a fine-tuned teacher is in the run folder."""
    if settings.finetune is not None:
        return finetuned(folder / FOLDER)
    names = tuple(locate(name, folder) for name in settings.names)
    return settings.model_copy(update={"name": names[0] if isinstance(settings.name, str) else names})


def locate(name: str, folder: Path) -> str:
    """Return a path in a run's settings as a path that is valid from here; return other names unchanged.

    Relative paths refer to the folder where the run was started, usually a parent of the run folder.
    """
    if Path(name).is_absolute() or name in list_datasets():
        return name
    above = (parent / name for parent in folder.resolve().parents)
    return next((str(path) for path in above if path.is_dir()), name)


def _hashes(identity: dict[str, Any]) -> list[str]:
    return [member["weights_sha256"] for member in identity.get("members", [identity])]
