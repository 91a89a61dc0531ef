"""Calibration of the networks, and agreement of the student with its teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tutelage.report.material.material import Material
from tutelage.report.material.predictions import Predictions
from tutelage.report.page.blocks import Beside, Block, Chart, Section, Table, Words
from tutelage.report.page.drawing import color, legend, new_axes
from tutelage.report.page.wording import listed, signed

BINS = 15
FEWEST = 10
"""Bins with fewer predictions are not drawn, because their accuracy is too noisy."""
OUTCOMES = ("both right", "student only", "teacher only", "same mistake", "different mistakes")


@dataclass(frozen=True, eq=False)
class Calibration:
    """Statistics of predictions in confidence bins of equal width, without empty bins."""

    confidence: NDArray[np.float64]
    """Mean confidence of each bin, in percent."""
    accuracy: NDArray[np.float64]
    """Accuracy of each bin, in percent."""
    count: NDArray[np.int64]
    """Number of predictions in each bin."""

    @property
    def share(self) -> NDArray[np.float64]:
        """Fraction of all predictions in each bin; sums to 1."""
        return self.count / self.count.sum()

    @property
    def error(self) -> float:
        """Expected calibration error: Σ share · |accuracy − confidence|, in points."""
        return float((self.share * np.abs(self.accuracy - self.confidence)).sum())

    @property
    def excess(self) -> float:
        """Mean confidence minus accuracy in points; positive for an overconfident network."""
        return float((self.share * (self.confidence - self.accuracy)).sum())


def calibrate(predictions: Sequence[Predictions]) -> Calibration:
    """Return the calibration of all predictions together, in 15 bins."""
    confidence = np.concatenate([made.confidence for made in predictions]).astype(np.float64)
    right = np.concatenate([made.right for made in predictions])
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    sure, true = (100 * np.bincount(bins, each, BINS)[filled] / counts[filled] for each in (confidence, right))
    return Calibration(sure, true, counts[filled])


def agreement(student: Predictions, teacher: Predictions) -> dict[str, float]:
    """Return the percentage of images with each of the ``OUTCOMES``."""
    both_wrong, same = ~student.right & ~teacher.right, student.classes == teacher.classes
    masks = [
        student.right & teacher.right,
        student.right & ~teacher.right,
        ~student.right & teacher.right,
        both_wrong & same,
        both_wrong & ~same,
    ]
    return {name: 100 * float(mask.mean()) for name, mask in zip(OUTCOMES, masks)}


def networks(material: Material) -> dict[str, list[Predictions]]:
    """Return the predictions to compare, by the role of the network."""
    found = {"student": material.of(material.focus)}
    if material.alone is not None:
        found["alone"] = material.of(material.alone)
    if material.teacher_predictions is not None:
        found["teacher"] = [material.teacher_predictions]
    return {role: made for role, made in found.items() if made}


def calibration(material: Material) -> Section | None:
    """Return the section; None if there are no predictions."""
    by_role = networks(material)
    if "student" not in by_role:
        return None
    measured = {role: calibrate(made) for role, made in by_role.items()}
    columns: list[list[Block]] = [[_reliability(measured), _table(by_role, measured)]]
    if material.teacher_predictions is not None:
        columns.append(_agreement(material, material.teacher_predictions))
    title = "Calibration" if len(columns) == 1 else "Calibration and agreement"
    text = _in_words(material.focus.row.student, measured["student"])
    return Section("calibration", title, [Words(text), Beside(columns)])


def _in_words(name: str, student: Calibration) -> str:
    text = f"The confidence of {name} is off by {student.error:.1f} points on average (ECE)"
    if abs(student.excess) < 1:
        return f"{text}; overall it is neither over- nor underconfident."
    over = "over" if student.excess > 0 else "under"
    return f"{text}; overall it is {over}confident by {abs(student.excess):.1f} points."


def _reliability(measured: dict[str, Calibration]) -> Chart:
    figure, axes = new_axes(4.0)
    axes.plot([0, 100], [0, 100], color=color("muted"), linewidth=1, linestyle=(0, (2, 2)), label="perfect")
    for role, found in measured.items():
        enough = found.count >= FEWEST
        sure, true = found.confidence[enough], found.accuracy[enough]
        axes.plot(sure, true, color=color(role), label=role, zorder=3)
        size = 12 + 260 * found.share[enough]
        axes.scatter(sure, true, size, color=color(role), alpha=0.75, linewidths=0, zorder=3, clip_on=False)
    axes.set(xlim=(0, 102), ylim=(0, 102), xlabel="confidence, %", ylabel="accuracy, %")
    axes.set_aspect("equal")
    legend(axes, ncols=4)
    errors = listed([f"{role} {found.error:.1f}" for role, found in measured.items()])
    return Chart(
        "calibration",
        figure,
        f"Reliability diagram: accuracy against confidence in {BINS} bins. Calibration error in points: {errors}.",
        "Below the dotted line a network is overconfident. Larger dots stand for more predictions.",
    )


def _table(by_role: dict[str, list[Predictions]], measured: dict[str, Calibration]) -> Table:
    rows = []
    for role, made in by_role.items():
        found = measured[role]
        sure = 100 * float(np.mean([each.confidence.mean() for each in made]))
        top1 = float(np.mean([each.top1 for each in made]))
        rows.append([role, f"{top1:.2f}", f"{sure:.2f}", signed(found.excess, 1), f"{found.error:.2f}"])
    headers = ["network", "top-1 %", "mean confidence %", "overconfidence", "ECE"]
    return Table(f"Overconfidence and expected calibration error (ECE) in points, {BINS} bins.", headers, rows)


def _agreement(material: Material, teacher: Predictions) -> list[Block]:
    groups = {"student": material.focus} | ({"alone": material.alone} if material.alone is not None else {})
    by_role = {role: material.beside_teacher(group) for role, group in groups.items()}
    shares = {role: _mean([agreement(each, teacher) for each in made]) for role, made in by_role.items() if made}
    figure, axes = new_axes(0.75 + 0.45 * len(shares))
    shades = ("teal", "gold", "teacher", "purple", "alone")
    left = np.zeros(len(shares))
    for outcome, shade in zip(OUTCOMES, shades):
        widths = np.array([share[outcome] for share in shares.values()])
        axes.barh(range(len(shares)), widths, left=left, color=color(shade), alpha=0.55, label=outcome, height=0.62)
        for place, (start, width) in enumerate(zip(left, widths)):
            if width >= 5:
                axes.text(start + width / 2, place, f"{width:.0f}", ha="center", va="center", color=color("ink"))
        left += widths
    axes.set_yticks(range(len(shares)), list(shares), color=color("ink"))
    axes.set(xlim=(0, 100), ylim=(len(shares) - 0.5, -0.5), xlabel="images, %")
    axes.grid(visible=False)
    legend(axes, ncols=3)
    rows = [[name, *(f"{share[name]:.1f}" for share in shares.values())] for name in OUTCOMES]
    rows.append(["same class as the teacher", *(f"{_same(share):.1f}" for share in shares.values())])
    said = "; ".join(
        f"{role}: " + ", ".join(f"{name} {s[name]:.1f} %" for name in OUTCOMES) for role, s in shares.items()
    )
    return [
        Chart("agreement", figure, f"Which network is right. {said}.", "Which network is right about an image."),
        Table(
            "Agreement with the teacher, in percent of the images.",
            ["images", *shares],
            rows,
        ),
    ]


def _same(share: dict[str, float]) -> float:
    return share["both right"] + share["same mistake"]


def _mean(shares: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([share[name] for share in shares])) for name in OUTCOMES}
