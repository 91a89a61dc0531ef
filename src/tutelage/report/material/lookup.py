"""Finding what a run was made of: its data and its teacher, wherever they are now, and only if they are the same."""

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
    """Opens the run's data, from ``name`` where they have moved; raises :class:`TutelageError` where it cannot."""
    settings = load(DataSettings, run.config["data"], {"name": name or locate(run.data_name, run.folder)})
    data = open_data(settings)
    if data.headline[0] != run.result.split:
        raise TutelageError(f"{data.name} has no {run.result.split} split any more")
    return data


def find_teacher(run: Run, data: ImageData) -> BaseTeacher | None:
    """Builds the run's teacher; None without one.

    Raises :class:`TutelageError` where it is not there any more, or has other weights now.
    """
    if not run.config.get("teacher"):
        return None
    settings = load(TeacherSettings, run.config["teacher"])
    teacher = build_teacher(located_teacher(settings, run.folder), data)
    if run.teacher and _hashes(teacher.identity()) != _hashes(run.teacher):
        raise TutelageError(f"teacher={', '.join(settings.names)} has other weights now than in this run")
    return teacher


def located_teacher(settings: TeacherSettings, folder: Path) -> TeacherSettings:
    """Returns the teacher's settings with paths as they are from here; of a fine-tuned one those of the outcome."""
    if settings.finetune is not None:
        return finetuned(folder / FOLDER)
    names = tuple(locate(name, folder) for name in settings.names)
    return settings.model_copy(update={"name": names[0] if isinstance(settings.name, str) else names})


def locate(name: str, folder: Path) -> str:
    """Returns a path that a run was given, from here; a name that is no path stays as it is.

    A relative path was meant from where the run was started, which is most often above its folder.
    """
    if Path(name).is_absolute() or name in list_datasets():
        return name
    above = (parent / name for parent in folder.resolve().parents)
    return next((str(path) for path in above if path.is_dir()), name)


def _hashes(identity: dict[str, Any]) -> list[str]:
    return [member["weights_sha256"] for member in identity.get("members", [identity])]
