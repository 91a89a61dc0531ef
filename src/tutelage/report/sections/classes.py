"""Results per class: confusions, and changes in accuracy compared with the student alone or the teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from tutelage.report.material.material import Material
from tutelage.report.material.predictions import Predictions
from tutelage.report.page.blocks import Beside, Block, Chart, Details, Section, Table, Words
from tutelage.report.page.drawing import color, new_axes, shortened_all
from tutelage.report.page.wording import listed, signed

MOST_CLASSES = 20
"""Largest number of classes whose names are legible in the matrix."""
CHOSEN = 12
"""Number of classes shown if there are more."""


def classes(material: Material) -> Section | None:
    """Return the section; None if there are no predictions."""
    students = material.of(material.focus)
    if not students:
        return None
    reference = _reference(material)
    matrix = confusion(students, len(material.classes))
    drawn: list[Block] = [_matrix_chart(material, matrix)]
    pairs: list[Block] = [_pairs(material, matrix, reference)]
    if reference is None:
        return Section("classes", "Results per class", [Beside([drawn, pairs])])
    text, *changes = _changes(material, students, *reference)
    return Section("classes", "Results per class", [text, Beside([changes + pairs, drawn])])


def confusion(predictions: Sequence[Predictions], count: int) -> NDArray[np.float64]:
    """Return the confusion matrix (K, K): the percentage of images of each true class (row) predicted as each class.

    Several runs are averaged. Rows of classes without images are zero.
    """
    total = np.zeros((count, count))
    for made in predictions:
        np.add.at(total, (made.labels, made.classes), 1)
    return 100 * total / np.maximum(total.sum(1, keepdims=True), 1)


def _reference(material: Material) -> tuple[str, list[Predictions]] | None:
    """Return the reference for the students: the students alone if available, otherwise the teacher."""
    if material.alone is not None and material.of(material.alone):
        return "alone", material.of(material.alone)
    if material.teacher_predictions is not None:
        return "teacher", [material.teacher_predictions]
    return None


def _changes(
    material: Material, students: Sequence[Predictions], name: str, reference: Sequence[Predictions]
) -> list[Block]:
    """Return the change of each class from the reference in points, as text, chart and table."""
    names, count = material.classes, len(material.classes)
    ours, theirs = (np.diag(confusion(made, count)) for made in (students, reference))
    images = np.bincount(students[0].labels, minlength=count)
    there = [place for place in np.argsort(theirs - ours, kind="stable") if images[place]]
    change = ours - theirs
    shown = there if len(there) <= MOST_CLASSES else there[: CHOSEN // 2] + there[-CHOSEN // 2 :]
    against = "the student alone" if name == "alone" else "the teacher"
    text = _in_words(names, change, there, against)
    columns = ["class", "images", name, "distilled" if not material.focus.alone else "student", "change"]
    rows = [
        [names[k], f"{images[k]:,}", f"{theirs[k]:.1f}", f"{ours[k]:.1f}", signed(float(change[k]), 1)] for k in there
    ]
    table = Table(f"Accuracy per class in percent, compared with {name}; change in points.", columns, rows)
    return [
        Words(text),
        _change_chart(names, change, shown, against, len(there)),
        Details(f"All {len(there)} classes as a table", [table]),
    ]


def _in_words(names: Sequence[str], change: NDArray[np.float64], order: Sequence[int], against: str) -> str:
    gained, lost = [k for k in order if change[k] > 0], [k for k in order[::-1] if change[k] < 0]

    def some(places: Sequence[int]) -> str:
        return listed([f"{names[k]} ({signed(float(change[k]), 1)})" for k in places[:3]])

    text = f"Compared with {against}, {len(gained)} of {len(order)} classes improved and {len(lost)} got worse."
    text += f" Largest gains: {some(gained)}." if gained else ""
    return text + (f" Largest losses: {some(lost)}." if lost else "")


def _change_chart(
    names: Sequence[str], change: NDArray[np.float64], shown: Sequence[int], against: str, total: int
) -> Chart:
    figure, axes = new_axes(0.8 + 0.24 * len(shown))
    values = change[shown]
    places = range(len(shown))
    axes.barh(places, values, color=[color("teal") if value >= 0 else color("pink") for value in values], height=0.7)
    for place, value in zip(places, values):
        offset = (3, 0) if value >= 0 else (-3, 0)
        axes.annotate(
            signed(float(value), 1), (value, place), offset, textcoords="offset points", va="center", fontsize=8.5,
            ha="left" if value >= 0 else "right", color=color("ink"),
        )  # fmt: skip
    axes.axvline(0, color=color("muted"), linewidth=1)
    axes.set_yticks(places, shortened_all([names[k] for k in shown]), color=color("ink"))
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.16)
    axes.set_xlabel(f"change from {against}, points")
    some = "" if len(shown) == total else f" Of {total}, the {CHOSEN // 2} best and the {CHOSEN // 2} worst."
    alt = f"Change of each class from {against}: " + ", ".join(
        f"{names[k]} {signed(float(change[k]), 1)}" for k in shown
    )
    return Chart("classes-change", figure, alt + ".", f"Change in accuracy per class, compared with {against}.{some}")


def _matrix_chart(material: Material, matrix: NDArray[np.float64]) -> Chart:
    total = len(material.classes)
    shown = list(range(total)) if total <= MOST_CLASSES else most_confused(matrix, CHOSEN)
    part = matrix[np.ix_(shown, shown)]
    side = 1.5 + 0.42 * len(shown)
    figure, axes = new_axes(side, max(side, 4.0))
    for true, predicted in np.ndindex(part.shape):
        share = part[true, predicted]
        right = true == predicted
        axes.add_patch(
            Rectangle(
                (predicted - 0.48, true - 0.48), 0.96, 0.96, linewidth=0,
                facecolor=color("teal" if right else "student"), alpha=min(0.6, share / 100 * (0.5 if right else 1.6)),
            )
        )  # fmt: skip
        if share >= 0.5:
            axes.text(predicted, true, f"{share:.0f}", ha="center", va="center", fontsize=8.5, color=color("ink"))
    names = shortened_all([material.classes[k] for k in shown], 14)
    slant: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if _long(names) else {}
    axes.set_xticks(range(len(shown)), names, color=color("ink"), **slant)
    axes.set_yticks(range(len(shown)), names, color=color("ink"))
    axes.set(xlim=(-0.5, len(shown) - 0.5), ylim=(len(shown) - 0.5, -0.5), xlabel="predicted", ylabel="true")
    axes.set_aspect("equal")
    axes.grid(visible=False)
    seeds = f", mean of {material.focus.seeds}" if len(material.focus.runs) > 1 else ""
    some = "" if len(shown) == total else f" Shown are the {len(shown)} of {total} classes with the most confusions."
    right_most = max(shown, key=lambda k: matrix[k, k])
    alt = (
        f"Confusion matrix of {len(shown)} classes. Best recognized: {material.classes[right_most]} "
        f"({matrix[right_most, right_most]:.0f} %). The table below names the most frequent confusions."
    )
    caption = f"Percentage of images of each true class predicted as each class{seeds}.{some}"
    return Chart("classes-confusion", figure, alt, caption, wide=True)


def _long(names: Sequence[str]) -> bool:
    return max(map(len, names)) > 3


def most_confused(matrix: NDArray[np.float64], count: int) -> list[int]:
    """Return about ``count`` classes with the most frequent confusions, in their original order."""
    chosen: list[int] = []
    for true, predicted in _mistakes(matrix):
        if len(chosen) >= count:
            break
        chosen += [k for k in (true, predicted) if k not in chosen]
    return sorted(chosen)


def _mistakes(matrix: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the (true, predicted) pairs of different classes, most frequent first."""
    wrong = matrix * (1 - np.eye(len(matrix)))
    order = np.argsort(-wrong, axis=None, kind="stable")[: 4 * CHOSEN]
    return [(int(t), int(p)) for t, p in zip(*np.unravel_index(order, wrong.shape)) if wrong[t, p] > 0]


def _pairs(material: Material, matrix: NDArray[np.float64], reference: tuple[str, list[Predictions]] | None) -> Table:
    names = material.classes
    before = confusion(reference[1], len(names)) if reference is not None else None
    rows = []
    for true, predicted in _mistakes(matrix)[:6]:
        then = [f"{before[true, predicted]:.1f}"] if before is not None else []
        rows.append([names[true], names[predicted], *then, f"{matrix[true, predicted]:.1f}"])
    headers = ["true class", "predicted as", *([f"{reference[0]} %"] if reference is not None else []), "student %"]
    return Table(
        "Most frequent confusions, in percent of the images of the true class.", headers, rows, ["predicted as"]
    )
