"""Images on which one network is right and the other is confidently wrong."""

from __future__ import annotations

import numpy as np

from tutelage.report.material.material import Material
from tutelage.report.material.predictions import Predictions
from tutelage.report.page.blocks import Block, Card, Gallery, Picture, Section, Tabs, Words
from tutelage.report.page.pictures import picture

SHOWN = 12


def disagreements(material: Material) -> Section | None:
    """Return the section; None without predictions of teacher and student, or if they never disagree."""
    teacher, student = material.teacher_predictions, material.predictions.get(material.run.folder)
    if teacher is None or student is None:
        return None
    tabs: list[tuple[str, list[Block]]] = []
    for title, name, right, wrong in (
        ("Teacher right, student wrong", "teacher-right", teacher, student),
        ("Student right, teacher wrong", "student-right", student, teacher),
    ):
        places = telling(right, wrong)
        if places:
            found = int((right.right & ~wrong.right).sum())
            text = f"{found:,} of {len(right.labels):,} images; shown are the most confident mistakes."
            tabs.append((title, [Words(text, quiet=True), _gallery(material, name, places, teacher, student)]))
    return Section("disagreements", "Disagreements", [Tabs("Which is right", tabs)]) if tabs else None


def telling(right: Predictions, wrong: Predictions, count: int = SHOWN) -> list[int]:
    """Return indices of images that only ``right`` predicts correctly, most confident mistakes of ``wrong`` first."""
    places = np.flatnonzero(right.right & ~wrong.right)
    return [int(place) for place in places[np.argsort(-wrong.confidence[places], kind="stable")][:count]]


def _gallery(material: Material, name: str, places: list[int], teacher: Predictions, student: Predictions) -> Gallery:
    cards = []
    for place, pixels in zip(places, material.images(places)):
        true = material.classes[student.labels[place]]
        lines = [true]
        for role, made in (("teacher", teacher), ("student", student)):
            lines.append(f"{role}: {material.classes[made.classes[place]]} {100 * made.confidence[place]:.0f} %")
        cards.append(Card([Picture(picture(pixels), "", f"{material.split} image of class {true}")], lines))
    caption = "The true class, and the prediction of each network with its probability."
    return Gallery(f"disagreements-{name}", caption, cards)
