"""Learning curves: accuracy, loss by term, gradients and learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from tutelage.report.material.material import Material
from tutelage.report.page.axis import Metrics, curve, label_epochs, marker
from tutelage.report.page.blocks import Beside, Block, Chart, Section, Tabs, Words
from tutelage.report.page.drawing import color, dashes, legend, new_axes, plain_log_ticks, series, shortened
from tutelage.report.page.wording import listed, plural
from tutelage.report.sections.gradients import pulls
from tutelage.report.sections.marks import marks_of

TERM = "train/"


def learning(material: Material) -> Section | None:
    """Return the section; None if the run has no metrics."""
    metrics = material.run.metrics
    if not metrics:
        return None
    columns: list[list[Block]] = []
    if any("val/top1" in record for group in material.groups for run in group.runs for record in run.metrics):
        columns.append([_accuracy(material)])
    terms = _terms(metrics)
    tabs: list[tuple[str, list[Block]]] = [("Loss", [_loss(metrics, terms)])]
    if len(terms) > 1:
        tabs.append(("Each term", [_each_term(metrics, terms)]))
    tabs += pulls(metrics, terms)
    tabs.append(("Learning rate", [_rate(metrics)]))
    columns.append([Tabs("One run", tabs)])
    text = f"Loss, terms and learning rate are from {material.run.folder}."
    blocks: list[Block] = [Words(text, quiet=True)] if len(material.groups) > 1 or len(material.focus.runs) > 1 else []
    return Section("learning", "Learning curves", [*blocks, Beside(columns)])


def _terms(metrics: Metrics) -> list[str]:
    """Return the terms of all stages in order of appearance."""
    keys = [key for record in metrics for key in record if key.startswith(TERM)]
    return [key.removeprefix(TERM) for key in dict.fromkeys(keys) if key != f"{TERM}loss"]


def _accuracy(material: Material) -> Chart:
    figure, axes = new_axes(3.0)
    for group, mark in marks_of(material).items():
        curves = [curve(run.metrics, "val/top1") for run in group.runs]
        curves = [curve for curve in curves if len(curve[0])]
        for epochs, values in curves if len(curves) > 1 and mark.own else []:
            axes.plot(epochs, values, color=mark.color, linewidth=0.8, alpha=0.4)
        if curves:
            epochs, values = _mean(curves)
            look = {"label": mark.name} if mark.own else {"linewidth": 0.8, "alpha": 0.6}
            axes.plot(epochs, values, "o-" if len(epochs) == 1 else "-", color=mark.color, **look)
    run, top1 = material.run, material.run.teacher_on_validation
    if top1 is not None:
        axes.axhline(top1, color=color("teacher"), linestyle=(0, (4, 3)), linewidth=1.4, label="teacher")
    label_epochs(axes, run.metrics)
    axes.set_ylabel("top-1 on validation, %")
    legend(axes)
    start, end = _ends(run.metrics, "val/top1")
    several = any(len(group.runs) > 1 for group in material.groups)
    return Chart(
        "learning-accuracy",
        figure,
        f"Validation top-1 by epoch. The run shown in detail goes from {start:.1f} % to {end:.1f} %.",
        "Accuracy on the validation images after each epoch"
        + ("; thin lines are seeds." if several else ".")
        + ("" if all(mark.own for mark in marks_of(material).values()) else " Gray: other runs."),
    )


def _loss(metrics: Metrics, terms: Sequence[str]) -> Chart:
    figure, axes = new_axes(3.0)
    if len(terms) > 1:
        axes.plot(*curve(metrics, f"{TERM}loss"), color=color("ink"), label="loss", linewidth=2.2)
    for number, term in enumerate(terms):
        line = {"color": series(number), "linestyle": dashes(number), "label": shortened(term)}
        axes.plot(*curve(metrics, TERM + term), **line, marker=marker(metrics))
    if min(curve(metrics, f"{TERM}loss")[1]) > 0:
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis)
    label_epochs(axes, metrics)
    axes.set_ylabel("weighted loss")
    legend(axes)
    start, end = _ends(metrics, f"{TERM}loss")
    return Chart(
        "learning-loss",
        figure,
        f"Training loss by epoch, with its terms {listed(list(terms))}: from {start:.3g} to {end:.3g}.",
        "Contribution of each term to the training loss.",
    )


def _each_term(metrics: Metrics, terms: Sequence[str]) -> Chart:
    rows = -(-len(terms) // 2)
    figure, _ = new_axes(0.4 + 1.45 * rows, nrows=rows, ncols=2, sharex=True)
    for number, axes in enumerate(figure.axes):
        if number >= len(terms):
            axes.axis("off")
            continue
        axes.plot(*curve(metrics, TERM + terms[number]), color=series(number), marker=marker(metrics))
        axes.set_title(shortened(terms[number], 22), fontsize=9.5)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if number >= len(terms) - 2:
            axes.set_xlabel("epoch")
            axes.tick_params(labelbottom=True)
    falls = [f"{term} from {start:.3g} to {end:.3g}" for term in terms for start, end in [_ends(metrics, TERM + term)]]
    return Chart(
        "learning-terms", figure, f"Each term by epoch: {listed(falls)}.", "Each term separately; axes start at zero."
    )


def _rate(metrics: Metrics) -> Chart:
    figure, axes = new_axes(2.6)
    axes.plot(*curve(metrics, "lr"), color=color("ink"), marker=marker(metrics))
    axes.set_ylim(bottom=0)
    label_epochs(axes, metrics)
    axes.set_ylabel("learning rate")
    highest = max(curve(metrics, "lr")[1])
    return Chart(
        "learning-rate",
        figure,
        f"Learning rate over {plural(len(metrics), 'epoch')}, at most {highest:.3g}.",
        "The learning rate at the end of each epoch.",
    )


def _mean(curves: Sequence[tuple[list[int], list[float]]]) -> tuple[list[int], Any]:
    """Return the mean over seeds, up to the shortest curve."""
    length = min(len(values) for _, values in curves)
    return curves[0][0][:length], np.mean([values[:length] for _, values in curves], axis=0)


def _ends(metrics: Metrics, key: str) -> tuple[float, float]:
    values = curve(metrics, key)[1] or [float("nan")]
    return values[0], values[-1]
