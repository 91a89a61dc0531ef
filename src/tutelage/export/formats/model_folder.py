"""A model folder: weights in safetensors and a ``config.json`` in timm's layout."""

from __future__ import annotations

import json
from pathlib import Path

from tutelage.export.task import Task
from tutelage.models import save_model
from tutelage.runs import Predict, load_student, predictor


def write_folder(task: Task, path: Path) -> None:
    """Write ``path`` (``model.safetensors``) and ``config.json`` next to it.

    timm students can be read with ``timm.create_model("local-dir:FOLDER", pretrained=True)``, all students with
    ``tutelage.create_model("FOLDER")``. The weights are the bare network; the normalization is in ``config.json``.
    """
    save_model(task.student.network, path.parent, task.student.spec)
    config = path.parent / "config.json"
    described = json.loads(config.read_text(encoding="utf-8"))
    # timm's test-time transform must match the evaluation here, not that of the initial weights.
    described["pretrained_cfg"].update(interpolation="bilinear", crop_pct=task.student.crop)
    config.write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def open_folder(path: Path) -> Predict:
    """Open the network of a ``model.safetensors`` file with PyTorch."""
    return predictor(load_student(path.parent).network)
