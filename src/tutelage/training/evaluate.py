"""``evaluate``: measure the accuracy of a run or network on a split of any data."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from tutelage.config import ModelSettings, Settings, as_mapping, load
from tutelage.console import phase
from tutelage.data import DataSettings, ImageData, Split, check_main_guard, open_data
from tutelage.errors import TutelageError
from tutelage.models import handed_over, made_known, register_functions, spec_of
from tutelage.paths import expand
from tutelage.runs import RunFolder
from tutelage.training.engine import build_engine, find_process
from tutelage.training.evaluation.accuracy import evaluate_network
from tutelage.training.job.classes import match_data
from tutelage.training.job.measured_data import measured_data
from tutelage.training.job.networks import build_network, build_normalization
from tutelage.training.job.saved_settings import load_run


class EvaluateSettings(Settings):
    """The settings of ``tutelage evaluate``."""

    model: ModelSettings
    data: DataSettings
    split: Literal["test", "validation", "train", "all"] | None = Field(
        None,
        description="split to evaluate on; default: test, or validation if there is no test split, or all images of "
        "data without splits, except the images that the model was trained on",
    )
    batch_size: int = Field(256, ge=1)
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = Field(
        "fp32", description="precision; default: that of the run"
    )
    device: Literal["auto", "cpu"] = "auto"


def evaluate(**config: Any) -> dict[str, Any]:
    """Return the accuracy of ``model`` on ``data``.

    For a run folder, data, precision and batch size default to the settings of the run, so that
    ``evaluate(model="runs/student")`` reproduces the results in its ``result.json``. Images are resized to the input
    size of the model. Classes are matched by name; the data may have them in another order, or only some of them.

    Args:
        config: The settings of ``tutelage evaluate``: ``model``, ``data``, ``split``, ``batch_size``, ``precision`` and
            ``device``. ``model`` can also be a module. Pass ``network`` for a run of your own network, as in
            ``evaluate(model="runs/student", network=module)``.

    Returns:
        A dictionary with ``split``, ``count`` (the number of images), ``precision``, the accuracies ``top1``, ``top5``
        and ``balanced_top1`` (the mean over the classes), ``majority`` (the share of the most frequent class) and
        ``loss``. Accuracies and shares are in percent, and None without labels.

    Raises:
        TutelageError: If the data have classes that the model does not have, or the split does not exist.

    Example:
        >>> import tutelage
        >>> network = tutelage.create_model("resnet8", num_classes=10)
        >>> results = tutelage.evaluate(model=network, data="digits", split="validation")
        >>> results["split"], results["count"], results["precision"]
        ('validation', 145, 'fp32')
    """
    check_main_guard()
    network = config.pop("network", None)
    with handed_over(config) as named, made_known(network):
        settings = load(EvaluateSettings, _defaults(as_mapping(named)), named)
        register_functions(settings.model.name)
        return _evaluate(settings)


def _evaluate(settings: EvaluateSettings) -> dict[str, Any]:
    if settings.precision in ("fp16", "tf32") and find_process(settings.device).device.type == "cpu":
        raise TutelageError(
            f"precision={settings.precision} needs a GPU, and this is a CPU; set precision=bf16 or precision=fp32"
        )
    with phase("preparing data and model"):
        data = open_data(settings.data)
        network = build_network("model", settings.model, None)
        spec = spec_of(network)
        data = match_data(data, spec.classes, spec.num_classes, f"model={settings.model.name}")
        name, split = _split(data, settings.split)
        engine = build_engine(settings.precision, settings.device)
        normalized = nn.Sequential(build_normalization(network, data, spec.input_size), network).to(engine.device)
        normalized = normalized.to(memory_format=torch.channels_last).eval()
    with phase(f"evaluating on {name}", len(split)) as advance:
        found = evaluate_network(normalized, split, settings.batch_size, engine, advance=advance)
    return {
        "split": name,
        "count": len(split),
        "precision": settings.precision,
        "top1": found.top1,
        "top5": found.top5,
        "balanced_top1": found.balanced,
        "majority": found.majority,
        "loss": found.loss,
    }


def _split(data: ImageData, wanted: str | None) -> tuple[str, Split]:
    splits = {"test": data.test, "validation": data.validation, "train": data.train}
    headline, whole = data.headline
    splits |= {"all": whole} if headline == "all" else {}
    name = wanted or headline
    split = splits.get(name)
    if split is None:
        there = ", ".join(key for key, value in splits.items() if value is not None)
        raise TutelageError(f"split={name}: {data.name} has no such split; use one of {there}")
    return name, split


def _defaults(config: dict[str, Any]) -> dict[str, Any]:
    """Return the data, and for a run its batch size and precision, as a layer of settings.

    The precision is omitted if the run has not chosen it yet.
    """
    model = config.get("model", "")
    folder = expand(str(model.get("name", "") if isinstance(model, dict) else model))
    own: dict[str, Any] = {"data": measured_data(config.get("data"), [folder], config.get("split"))}
    if not RunFolder(folder).is_run():
        return own if own["data"] else {}
    if not RunFolder(folder).is_finished():
        raise TutelageError(f"{folder} is not finished; continue it with 'tutelage resume {folder}'")
    settings = load_run(folder)
    own["batch_size"] = settings.batch_size
    return own if settings.precision == "auto" else {**own, "precision": settings.precision}
