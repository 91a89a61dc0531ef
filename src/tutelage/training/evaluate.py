"""``evaluate``: the accuracy of a finished run, or of any network, on a split of any data."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import nn

from tutelage.config import ModelSettings, Settings, load
from tutelage.data import DataSettings, open_data
from tutelage.errors import TutelageError
from tutelage.models import spec_of
from tutelage.paths import expand
from tutelage.training.api import load_run
from tutelage.training.engine import build_engine
from tutelage.training.evaluation import evaluate_network
from tutelage.training.networks import build_network, build_normalization


class EvaluateSettings(Settings):
    """``tutelage evaluate``: which network on which data."""

    model: ModelSettings
    data: DataSettings
    split: Literal["test", "validation", "train"] | None = Field(None, description="test, or validation without one")
    batch_size: int = Field(256, ge=1)
    device: Literal["auto", "cpu"] = "auto"


def evaluate(**config: Any) -> dict[str, Any]:
    """Returns ``{"split", "count", "top1", "top5", "loss"}`` of ``model`` on ``data``; accuracies in percent.

    The images are resized to the size that the model was made for. Figures are None where there are no labels.

    ``evaluate(model="runs/student")`` takes the data from the run's own settings; ``evaluate(model="timm/resnet18",
    data=…, split="validation")`` names them. Raises :class:`TutelageError` where the classes differ, or the split does
    not exist.
    """
    settings = load(EvaluateSettings, _data_of_run(config), config)
    data = open_data(settings.data)
    splits = {"test": data.test, "validation": data.validation, "train": data.train}
    name = settings.split or data.headline[0]
    split = splits[name]
    if split is None:
        there = ", ".join(key for key, value in splits.items() if value is not None)
        raise TutelageError(f"split={name}: {data.name} has no such split; it has {there}")
    network = build_network("model", settings.model, None)
    spec = spec_of(network)
    if data.classes and spec.num_classes != len(data.classes):
        raise TutelageError(
            f"model={settings.model.name} has {spec.num_classes} classes, {data.name} has {len(data.classes)}"
        )
    engine = build_engine("fp32", settings.device)
    normalized = nn.Sequential(build_normalization(network, data, spec.input_size), network).to(engine.device)
    figures = evaluate_network(normalized, split, settings.batch_size, engine)
    return {"split": name, "count": len(split), "top1": figures.top1, "top5": figures.top5, "loss": figures.loss}


def _data_of_run(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the data of the run that is to be evaluated, as a layer of settings; empty where it is no run."""
    folder = expand(str(config.get("model", "")))
    if not (folder / "config.yaml").is_file():
        return {}
    return {"data": load_run(folder).data.model_dump(mode="json")}
