"""Helpers for curves over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tutelage.report.page.drawing import color

Metrics = Sequence[dict[str, Any]]
"""Records of a run, one per epoch."""


def curve(metrics: Metrics, key: str) -> tuple[list[int], list[float]]:
    """Return the epochs that have a value, and the values."""
    known = [record for record in metrics if key in record]
    return [record["epoch"] for record in known], [record[key] for record in known]


def marker(metrics: Metrics) -> str | None:
    """Return a dot as marker for a single epoch, which would not be visible as a line."""
    return "o" if len(metrics) == 1 else None


def label_epochs(axes: Axes, metrics: Metrics) -> None:
    """Label the epoch axis, and mark the stages if there are several."""
    axes.set_xlabel("epoch")
    axes.set_xlim(0.5, len(metrics) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    names = [record["stage"] for record in metrics]
    starts = [n for n in range(len(names)) if n == 0 or names[n] != names[n - 1]]
    if len(starts) < 2:
        return
    for start in starts:
        if start:
            axes.axvline(start + 0.5, color=color("muted"), linewidth=1, linestyle=(0, (2, 2)))
        place = axes.get_xaxis_transform()
        axes.text(start + 0.6, 1.01, names[start], color=color("muted"), fontsize=9, transform=place, va="bottom")
