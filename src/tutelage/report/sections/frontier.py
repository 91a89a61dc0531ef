"""Accuracy against size and latency, with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from tutelage.models import shown_count
from tutelage.report.material.material import Material
from tutelage.report.page.blocks import Block, Chart, Tabs
from tutelage.report.page.drawing import accuracy_limits, color, legend, new_axes, plain_log_ticks, shortened
from tutelage.report.page.wording import listed
from tutelage.report.sections.costs import Cost, measured_on
from tutelage.report.sections.marks import marks_of


@dataclass(frozen=True)
class Point:
    """A network's cost, accuracy and look in the chart."""

    cost: float
    top1: float
    name: str
    color: str
    own: bool
    """Whether it has its own color in the legend."""
    marker: str


def frontier(material: Material, costs: Mapping[str, Cost]) -> Tabs | None:
    """Return the charts; None if all networks have the same cost."""
    tabs: list[tuple[str, list[Block]]] = []
    for title, attribute, unit in (
        ("Parameters", "parameters", "parameters"),
        ("MACs", "macs", "multiply-accumulates of one image"),
        ("Latency", "latency", f"milliseconds per image ({measured_on()})"),
    ):
        points = _points(material, {name: getattr(cost, attribute) for name, cost in costs.items()})
        if len({point.cost for point in points}) > 1:
            tabs.append((title, [_chart(f"frontier-{attribute}", points, unit, material.split)]))
    return Tabs("Accuracy against", tabs) if tabs else None


def front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other point matches in accuracy at lower or equal cost, by increasing cost."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.top1)):
        if not best or point.top1 > best[-1].top1:
            best.append(point)
    return best


def _points(material: Material, costs: Mapping[str, float]) -> list[Point]:
    points = [
        Point(costs[group.row.student], group.row.mean, *mark, marker="o")
        for group, mark in marks_of(material).items()
        if group.row.student in costs
    ]
    top1 = material.focus.row.teacher_top1
    if top1 is not None and "teacher" in costs:
        name = f"{material.teacher_name} (teacher)"
        points.append(Point(costs["teacher"], top1, name, color("teacher"), True, "D"))
    return points


def _chart(name: str, points: Sequence[Point], unit: str, split: str) -> Chart:
    figure, axes = new_axes(3.0)
    best = front(points)
    axes.step([p.cost for p in best], [p.top1 for p in best], where="post", color=color("muted"), linewidth=1.2)
    for p in sorted(points, key=lambda point: -point.top1):
        label = shortened(p.name, 26) if p.own else None
        axes.plot(p.cost, p.top1, p.marker, color=p.color, markersize=8, label=label, markeredgewidth=0, alpha=0.9)
    _cost_axis(axes, [p.cost for p in points])
    axes.set_ylim(accuracy_limits([p.top1 for p in points]))
    left, right = axes.get_xlim()
    for p in best:
        on_left = (p.cost / left) ** 2 < right / left if axes.get_xscale() == "log" else p.cost < (left + right) / 2
        axes.annotate(
            shortened(p.name, 26),
            (p.cost, p.top1),
            xytext=(9 if on_left else -9, 7),
            textcoords="offset points",
            ha="left" if on_left else "right",
            va="bottom",
            color=color("ink"),
            fontsize=9.5,
        )
    axes.set_xlabel(unit)
    axes.set_ylabel(f"top-1 on {split}, %")
    if len(points) > len(best):
        legend(axes)
    front_words = listed([f"{p.name} ({shown_count(p.cost)}, {p.top1:.2f} %)" for p in best])
    return Chart(
        name,
        figure,
        f"Top-1 accuracy against {unit}. Pareto front: {front_words}.",
        f"Up and to the left is better. The line is the Pareto front: {front_words}."
        + ("" if all(p.own for p in points) else " Gray: other runs."),
    )


def _cost_axis(axes: Axes, values: Sequence[float]) -> None:
    low, high = min(values), max(values)
    if high > 2.5 * low:
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis)
        margin = (high / low) ** 0.14
        axes.set_xlim(low / margin, high * margin)
    else:
        axes.margins(x=0.2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shown_count(value)))
