"""``export_student``: write the student of a finished run in other formats, check the files and write a model card."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tutelage.config import ModelSettings, as_mapping, load
from tutelage.console import phase
from tutelage.data import ImageData, Split, open_data
from tutelage.errors import TutelageError
from tutelage.export.card.card import write_card
from tutelage.export.check import check, measured_split
from tutelage.export.formats.extras import require
from tutelage.export.formats.register import FORMATS
from tutelage.export.hub import check_token, push
from tutelage.export.record import NAME, Record
from tutelage.export.settings import ExportSettings
from tutelage.export.task import Task
from tutelage.export.verify import batches, spread
from tutelage.models import handed_over, made_known, save_model, spec_of
from tutelage.paths import check_out, expand
from tutelage.runs import RunFolder, load_student
from tutelage.training import load_run
from tutelage.training.job import build_network, completed


def export_student(model: str | Path | nn.Module, **config: Any) -> Record:
    """Write the student of a run in one or more formats.

    Each file is opened again with its runtime and compared with PyTorch on real images. The results are returned and
    stored in ``export.json`` next to the files, together with ``classes.json`` and a model card. If anything fails, no
    files are left behind.

    Args:
        model: A run folder or a model folder. A module also works if ``data`` and ``out`` are set.
        config: The keys of ``tutelage export``, e.g. ``format=["onnx", "int8"]``, ``out``, ``images``. Pass ``network``
            if the run's student is your own network, as in ``export_student("runs/student", network=module)``.

    Returns:
        The content of ``export.json``.

    Raises:
        TutelageError: If the run is not finished, ``out`` exists, a package is missing, a format cannot express the
            network, or a file's logits differ from PyTorch's.

    Example:
        >>> import tutelage
        >>> record = tutelage.export_student("runs/student", format=["onnx", "int8"])  # doctest: +SKIP
        >>> [(file.file, file.same_prediction) for file in record.files]  # doctest: +SKIP
        [('model.onnx', 100.0), ('model-int8.onnx', 99.4)]
    """
    with made_known(config.pop("network", None)):
        if isinstance(model, nn.Module):
            return _export_module(model, config)
        return _export(_load_settings(model, config))


def _export_module(module: nn.Module, config: dict[str, Any]) -> Record:
    """Export a copy of ``module``, with the image size, normalization and classes of the data."""
    missing = [key for key in ("data", "out") if key not in as_mapping(config)]
    if missing:
        raise TutelageError(f"{missing[0]} is missing; set data and out to export a module")
    with handed_over(module) as name, tempfile.TemporaryDirectory() as folder:
        settings = load(ExportSettings, config, {"model": folder})
        network = build_network("model", ModelSettings(name=name), None)
        data = open_data(settings.data)
        save_model(network, folder, completed(spec_of(network), data))
        return _export(settings, data)


def _export(settings: ExportSettings, data: ImageData | None = None) -> Record:
    student = load_student(settings.model)
    out = settings.out or student.source / "export"
    check_out(
        out,
        settings.overwrite,
        "an export",
        (out / NAME).is_file(),
        "; pass several formats at once, as in format=[onnx,int8]",
    )
    for format in settings.format:
        require(f"format={format}", FORMATS[format].packages)
    if settings.push is not None:
        check_token(settings.push)
    data = data or open_data(settings.data)
    name, split = measured_split(student, data, settings.images)
    calibration = spread(data.train, settings.calibration)
    task = Task(student, settings.preprocessing, lambda: _calibrating(calibration, student.size))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
        folder = Path(temporary, "new")
        folder.mkdir()
        for format in settings.format:
            with phase(f"writing {FORMATS[format].file}: {FORMATS[format].about}"):
                _write(task, format, folder)
        record = check(task, settings, folder, data, name, split)
        record.write(folder)
        classes = json.dumps(student.classes, indent=2, ensure_ascii=False)
        (folder / "classes.json").write_text(classes + "\n", encoding="utf-8")
        write_card(student, record, data, folder, settings.push)
        if out.exists():
            out.rename(Path(temporary, "old"))
        folder.rename(out)
    if settings.push is not None:
        with phase(f"pushing to {settings.push}"):
            push(out, settings.push, settings.private)
    return record


def _load_settings(model: str | Path, config: dict[str, Any]) -> ExportSettings:
    """Return the settings of an export; the data default to those of the run."""
    folder = expand(model)
    known = {"data": load_run(folder).data.model_dump(mode="json")} if RunFolder(folder).is_run() else {}
    tree = as_mapping(known, config, {"model": str(model)})
    if "data" not in tree:
        load_student(folder)
        raise TutelageError(f"{model} is not a run and has no data to check the export with; set data=…")
    return load(ExportSettings, tree)


def _calibrating(images: Split, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
    with phase("calibrating on training images", len(images)) as advance:
        for batch in batches(images, size):
            yield batch
            advance(len(batch[0]))


def _write(task: Task, format: str, folder: Path) -> None:
    try:
        FORMATS[format].write(task, folder / FORMATS[format].file)
    except TutelageError:
        raise
    except Exception as error:  # exporters raise many types for operations they do not support
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise TutelageError(
            f"format={format}: {task.student.spec.name} cannot be written ({reason}); use another format"
        ) from error
