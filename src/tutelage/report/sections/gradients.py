"""What each term does to the student over the run: how hard it pulls, and whether with the task."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tutelage.report.page.axis import Metrics, curve, label_epochs, marker
from tutelage.report.page.blocks import Block, Chart
from tutelage.report.page.drawing import color, dashes, legend, new_axes, plain_log_ticks, series, shortened
from tutelage.report.page.wording import listed

NORM, COSINE = "gradient/", "cosine/"


def pulls(metrics: Metrics, terms: Sequence[str]) -> list[tuple[str, list[Block]]]:
    """Returns tabs of the gradients of ``terms``; none where the metrics have but one term's, or none."""
    measured = [term for term in terms if any(NORM + term in record for record in metrics)]
    others = [term for term in measured if any(COSINE + term in record for record in metrics)]
    if len(measured) < 2:
        return []
    norms, axes, last = _drawn(metrics, NORM, terms, measured)
    axes.set_ylabel("norm of the gradient")
    if all(value > 0 for term in measured for value in curve(metrics, NORM + term)[1]):
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis)
    text = f"Norm of each term's gradient by epoch; at the end {last}."
    caption = "How hard each term, weight included, pulls at the student's weights."
    tabs: list[tuple[str, list[Block]]] = [("Gradients", [Chart("learning-gradients", norms, text, caption)])]
    if others:
        cosines, axes, last = _drawn(metrics, COSINE, terms, others)
        axes.set_ylabel("cosine with the task's gradient")
        axes.axhline(0, color=color("muted"), linewidth=1)
        text = f"Cosine of each term's gradient with that of the cross-entropy by epoch; at the end {last}."
        caption = "Above zero a term pulls the same way as the cross-entropy with the labels, below zero against it."
        tabs.append(("With the task", [Chart("learning-cosines", cosines, text, caption)]))
    return tabs


def _drawn(metrics: Metrics, what: str, terms: Sequence[str], measured: Sequence[str]) -> tuple[Figure, Axes, str]:
    """Draws a line for each term in its own colour, and returns what the last figures are in words."""
    figure, axes = new_axes(3.0)
    for term in measured:
        place = terms.index(term)
        line = {"color": series(place), "linestyle": dashes(place), "label": shortened(term)}
        axes.plot(*curve(metrics, what + term), **line, marker=marker(metrics))
    label_epochs(axes, metrics)
    legend(axes)
    return figure, axes, listed([f"{term} {curve(metrics, what + term)[1][-1]:.2g}" for term in measured])
