"""A model folder: weights in safetensors and a ``config.json`` in timm's layout."""

from __future__ import annotations

import json
from pathlib import Path

from tutelage.export.task import Task
from tutelage.models import save_model
from tutelage.runs import Predict, load_student, predictor


def write_folder(task: Task, path: Path) -> None:
    """Writes ``path`` (``model.safetensors``) and ``config.json`` beside it.

    A timm student is read by ``timm.create_model("local-dir:FOLDER", pretrained=True)``, any by
    ``tutelage.create_model("FOLDER")``. Both hold the network alone; the normalisation is in ``config.json``.
    """
    save_model(task.student.network, path.parent, task.student.spec)
    config = path.parent / "config.json"
    described = json.loads(config.read_text(encoding="utf-8"))
    # What timm calls its test-time transform must be ours, not that of the weights the training began with.
    described["pretrained_cfg"].update(interpolation="bilinear", crop_pct=task.student.crop)
    config.write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def open_folder(path: Path) -> Predict:
    """Returns the network whose ``model.safetensors`` is given, run by PyTorch."""
    return predictor(load_student(path.parent).network)
