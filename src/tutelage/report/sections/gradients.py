"""Gradients of each term over the run: their norm, and their cosine with the gradient of the cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tutelage.report.page.axis import Metrics, curve, label_epochs, marker
from tutelage.report.page.blocks import Block, Chart, Words
from tutelage.report.page.drawing import color, dashes, legend, new_axes, plain_log_ticks, series, shortened
from tutelage.report.page.wording import listed

NORM, COSINE = "gradient/", "cosine/"
NOT_RECORDED = "Not recorded: set log_gradients=true to measure how hard each term pulls at the student."


def pulls(metrics: Metrics, terms: Sequence[str]) -> list[tuple[str, list[Block]]]:
    """Return tabs with the gradients of ``terms``, or with a hint on how to record them if the metrics lack them.

    There are no tabs for a single term.
    """
    if len(terms) < 2:
        return []
    measured = [term for term in terms if any(NORM + term in record for record in metrics)]
    if not measured:
        return [("Gradients", [Words(NOT_RECORDED, quiet=True)])]
    others = [term for term in measured if any(COSINE + term in record for record in metrics)]
    norms, axes, last = _drawn(metrics, NORM, terms, measured)
    axes.set_ylabel("norm of the gradient")
    if all(value > 0 for term in measured for value in curve(metrics, NORM + term)[1]):
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis)
    text = f"Norm of each term's gradient by epoch; at the end {last}."
    caption = "Norm of each term's gradient with respect to the student's weights, including the term's weight."
    tabs: list[tuple[str, list[Block]]] = [("Gradients", [Chart("learning-gradients", norms, text, caption)])]
    if others:
        cosines, axes, last = _drawn(metrics, COSINE, terms, others)
        axes.set_ylabel("cosine with the cross-entropy")
        axes.axhline(0, color=color("muted"), linewidth=1)
        text = f"Cosine of each term's gradient with that of the cross-entropy by epoch; at the end {last}."
        caption = "Positive: the term's gradient points in the direction of the cross-entropy's; negative: against it."
        tabs.append(("Direction", [Chart("learning-cosines", cosines, text, caption)]))
    return tabs


def _drawn(metrics: Metrics, what: str, terms: Sequence[str], measured: Sequence[str]) -> tuple[Figure, Axes, str]:
    """Draw a line for each term in its own color, and return the last values as text."""
    figure, axes = new_axes(3.0)
    for term in measured:
        place = terms.index(term)
        line = {"color": series(place), "linestyle": dashes(place), "label": shortened(term)}
        axes.plot(*curve(metrics, what + term), **line, marker=marker(metrics))
    label_epochs(axes, metrics)
    legend(axes)
    return figure, axes, listed([f"{term} {curve(metrics, what + term)[1][-1]:.2g}" for term in measured])
