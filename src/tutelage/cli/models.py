"""The verbs that use a network: ``evaluate``, ``predict``, ``compare`` and ``inspect``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import tee

from rich.table import Table
from rich.text import Text

from tutelage import students, training
from tutelage.cli.command import Outcome, describe_images
from tutelage.cli.settings import InspectSettings, PredictSettings
from tutelage.config import as_mapping, load
from tutelage.distillation import native_size
from tutelage.models import count_macs, create_model, parameter_count, register_functions
from tutelage.students import Comparison, Prediction
from tutelage.taps import Probe
from tutelage.training.evaluation import describe_imbalance


def evaluate(settings: list[str]) -> Outcome:
    results = training.evaluate(**as_mapping(*settings))
    found = "no labels to measure by"
    if results["top1"] is not None:
        found = f"{results['top1']:.2f} % top-1, {results['top5']:.2f} % top-5, loss {results['loss']:.4f}"
        found += describe_imbalance(results["balanced_top1"], results["majority"])
    where = f"{describe_images(results['count'], results['split'])}, in {results['precision']}"
    return Outcome(results, [f"{found} on {where}"])


def predict(settings: list[str], model: str, *images: str) -> Outcome:
    chosen = load(PredictSettings, *settings)
    # Each prediction is printed as soon as it is computed.
    kept, shown = tee(students.predict(model, images, chosen.top, chosen.network))
    return Outcome((_as_json(one) for one in kept), (line for one in shown for line in _lines(one)))


def _as_json(prediction: Prediction) -> dict[str, object]:
    classes = [{"class": name, "probability": probability} for name, probability in prediction.classes]
    return {"image": str(prediction.image), "classes": classes}


def _lines(prediction: Prediction) -> Iterator[Text]:
    yield Text(str(prediction.image), "bold")
    for name, probability in prediction.classes:
        yield Text(f"  {100 * probability:6.2f} %  {name}")


def compare(settings: list[str], *models: str) -> Outcome:
    comparison = students.compare(models, **as_mapping(*settings))
    notes = [f"ms × N: from N uint8 images to logits, median; on {comparison.machine}"]
    if comparison.data is not None:
        notes.insert(0, f"top-1 on {describe_images(comparison.images, comparison.split)} of {comparison.data}")
    return Outcome(comparison, [_compared(comparison), *notes])


def _compared(comparison: Comparison) -> Table:
    """Return one row per model, with its network below its path, so that 80 columns are enough."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model", overflow="fold")
    for header in ("params", "MB", "MACs", "ms × 1", "ms × 32", "img/s", "top-1"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in comparison.rows:
        table.add_row(
            Text.assemble(row.path, "\n", (row.model, "dim")),
            f"{row.parameters:,}",
            f"{row.megabytes:.3f}",
            f"{row.macs / 1e6:,.1f}M",
            f"{row.milliseconds_1:.2f}",
            "" if row.milliseconds_32 is None else f"{row.milliseconds_32:.2f}",
            f"{row.images_per_second:,.0f}",
            "" if row.top1 is None else f"{row.top1:.2f}%",
        )
    return table


def inspect(settings: list[str], model: str) -> Outcome:
    chosen = load(InspectSettings, {"model": model}, *settings)
    register_functions(chosen.model.name)
    network = create_model(chosen.model.name, weights=chosen.model.weights)
    size = (chosen.size, chosen.size) if chosen.size is not None else native_size(network)
    probe = Probe(network, size)
    parameters, macs = parameter_count(network), count_macs(network, size)
    levels = [point.name for point in probe.levels]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("tap", "shape", "operation", "level", "activation"):
        table.add_column(column, no_wrap=True)
    for point in probe.points:
        shape = "×".join(map(str, point.shape))
        level = "" if point.level is None else str(point.level)
        style = "bold" if point.name in levels else ""
        table.add_row(point.name, shape, point.operation, level, point.activation, style=style)
    results = {"model": model, "parameters": parameters, "macs": macs, "input_size": size, "levels": levels}
    return Outcome(
        results | {"taps": probe.points},
        [
            f"{model}: {parameters:,} parameters, {macs:,} MACs at {size[0]}×{size[1]}",
            table,
            f"levels: {', '.join(levels)}",
        ],
    )
