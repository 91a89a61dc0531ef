"""Comparison of teacher, student alone and distilled students."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from statistics import fmean

from tutelage.models import shown_count
from tutelage.report.material.groups import differing_settings
from tutelage.report.material.material import Material
from tutelage.report.page.blocks import Beside, Block, Chart, Section, Table, Words
from tutelage.report.page.drawing import accuracy_limits, color, new_axes, shortened
from tutelage.report.sections.costs import Cost, measured_on
from tutelage.report.sections.frontier import frontier
from tutelage.report.sections.marks import marks_of
from tutelage.study import NOTE, Row, columns


def comparison(material: Material, costs: Mapping[str, Cost]) -> Section | None:
    """Return the section; None if there is only one network."""
    if len(material.groups) == 1 and material.focus.row.teacher_top1 is None:
        return None
    sides: list[list[Block]] = [[_chart(material)]]
    against = frontier(material, costs)
    if against is not None:
        sides.append([against])
    blocks: list[Block] = [Beside(sides), _table(material, costs)]
    varying = differing_settings([run for group in material.groups for run in group.runs])
    if varying:
        text = (
            f"The runs also differ in other settings: {', '.join(varying)}. Differences between their results may come "
            f"from these."
        )
        blocks.append(Words(text, quiet=True))
    return Section("comparison", "Comparison", blocks)


def _chart(material: Material) -> Chart:
    marks, teachers = marks_of(material), _teachers(material)
    figure, axes = new_axes(0.9 + 0.36 * (len(marks) + len(teachers)))
    names = [shortened(f"{name} (teacher)", 26) for name in teachers] + [mark.name for mark in marks.values()]
    for place, values in enumerate(teachers.values()):
        axes.axvline(fmean(values), color=color("teacher"), linewidth=1, linestyle=(0, (4, 3)))
        axes.plot(values, [place] * len(values), "D", color=color("teacher"), markersize=7)
    for place, (group, mark) in enumerate(marks.items(), start=len(teachers)):
        top1 = group.row.top1
        axes.plot(top1, [place] * len(top1), "o", color=mark.color, markersize=7, alpha=0.55, markeredgewidth=0)
        axes.plot(group.row.mean, place, "|", color=mark.color, markersize=17, markeredgewidth=2.5)
    axes.set_yticks(range(len(names)), names, color=color("ink"))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(accuracy_limits([*chain(*teachers.values()), *chain(*(group.row.top1 for group in marks))]))
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"top-1 on {material.split}, %")
    means = "; ".join(f"{group.label} {group.row.figure} %" for group in marks)
    taught = "".join(f"; teacher {name} {fmean(values):.2f} %" for name, values in teachers.items())
    alt = f"Top-1 accuracy on {material.split}: {means}{taught}."
    return Chart("comparison", figure, alt, "One dot per seed; the bar is their mean.")


def _teachers(material: Material) -> dict[str, list[float]]:
    """Return the accuracies of the different teachers by network name."""
    found: dict[str, dict[str, float]] = {}
    for run in (run for group in material.groups for run in group.runs):
        if run.result.teacher is not None and run.result.teacher_top1 is not None:
            found.setdefault(run.result.teacher, {})[str(run.config.get("teacher"))] = run.result.teacher_top1
    return {name: list(top1.values()) for name, top1 in found.items()}


def _table(material: Material, costs: Mapping[str, Cost]) -> Table:
    rows = [_costed(group.row, costs.get(group.row.student)) for group in material.groups]
    headers, cells = columns(rows)
    method = headers.index("method")
    for line in cells:
        line[method] = line[method].replace("none", "alone") if line[method].strip("*") == "none" else line[method]
    for name, values in _teachers(material).items():
        cost = costs.get("teacher") if name == material.run.result.teacher else None
        known = {"network": name, "method": "teacher", "top-1 %": f"{fmean(values):.2f}"}
        if cost is not None:
            known |= {"parameters": shown_count(cost.parameters), "MACs": shown_count(cost.macs)}
            known["ms per image"] = f"{cost.latency:.2f}"
        cells.insert(0, [known.get(header, "") for header in headers])
    note = f"{NOTE} " if len(rows) > 1 else ""
    kept = [n for n, header in enumerate(headers) if header not in ("on", "images/s")]
    caption = f"{note}Latency: measured now, one image at a time, on {measured_on()}."
    words = ["method", "teacher", "setting"]
    return Table(caption, [headers[n] for n in kept], [[line[n] for n in kept] for line in cells], words)


def _costed(row: Row, cost: Cost | None) -> Row:
    return row if cost is None else row.model_copy(update={"macs": cost.macs, "latency": cost.latency})
