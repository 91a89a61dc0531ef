"""The figures on the page, against plain loops and cases worked out by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tutelage.report.material.predictions import Predictions
from tutelage.report.page.blocks import Card, Gallery, Picture
from tutelage.report.page.drawing import png
from tutelage.report.page.pictures import sheet
from tutelage.report.sections.attention import likeness, overlay
from tutelage.report.sections.calibration import agreement, calibrate
from tutelage.report.sections.classes import confusion, most_confused
from tutelage.report.sections.disagreements import telling
from tutelage.report.sections.frontier import Point, front


def predictions(labels: list[int], classes: list[int], confidence: list[float]) -> Predictions:
    return Predictions(
        np.arange(len(labels)), np.array(labels), np.array(classes), np.array(confidence, dtype=np.float32)
    )


@pytest.fixture(scope="module")
def many() -> Predictions:
    draw = np.random.default_rng(0)
    labels, classes = draw.integers(0, 5, (2, 400))
    return predictions(labels.tolist(), classes.tolist(), draw.uniform(0.2, 1.0, 400).tolist())


def test_confusion(many: Predictions) -> None:
    found = confusion([many], 5)
    for true in range(5):
        row = [guess for label, guess in zip(many.labels, many.classes) if label == true]
        assert found[true] == pytest.approx([100 * row.count(k) / len(row) for k in range(5)])
    assert confusion([predictions([0], [1], [1.0])], 3).tolist() == [[0, 100, 0], [0, 0, 0], [0, 0, 0]]


def test_the_classes_that_are_shown_of_many() -> None:
    matrix = np.diag(np.full(30, 90.0))
    matrix[20, 3], matrix[7, 20], matrix[1, 2] = 9, 8, 1
    assert most_confused(matrix, 3) == [3, 7, 20]


def test_calibration(many: Predictions) -> None:
    error = excess = 0.0
    for lower in range(15):
        inside = [
            n for n, c in enumerate(many.confidence) if lower / 15 <= c < (lower + 1) / 15 or c == lower + 1 == 15
        ]
        if inside:
            accuracy = sum(many.labels[n] == many.classes[n] for n in inside) / len(inside)
            confidence = sum(float(many.confidence[n]) for n in inside) / len(inside)
            error += 100 * len(inside) / 400 * abs(accuracy - confidence)
            excess += 100 * len(inside) / 400 * (confidence - accuracy)
    found = calibrate([many])
    assert (found.error, found.excess) == (pytest.approx(error), pytest.approx(excess))
    assert found.count.sum() == 400
    assert calibrate([predictions([0, 0], [0, 1], [1.0, 1.0])]).error == pytest.approx(50)


def test_agreement_and_what_tells_most() -> None:
    teacher = predictions([0, 0, 0, 0, 0], [0, 1, 0, 1, 1], [0.9, 0.8, 0.6, 0.5, 0.7])
    student = predictions([0, 0, 0, 0, 0], [0, 0, 1, 1, 2], [0.9, 0.4, 0.7, 0.5, 0.6])
    assert list(agreement(student, teacher).values()) == pytest.approx([20, 20, 20, 20, 20])
    assert telling(teacher, student) == [2] and telling(student, teacher) == [1]
    sure = predictions([0, 0, 0], [1, 1, 1], [0.5, 0.9, 0.7])
    assert telling(predictions([0, 0, 0], [0, 0, 0], [1.0, 1.0, 1.0]), sure, count=2) == [1, 2]


def test_the_front() -> None:
    costs = {"a": (1, 50), "b": (1, 60), "c": (2, 55), "d": (3, 70), "e": (4, 70)}
    points = [Point(*pair, name, "#000000", True, "o") for name, pair in costs.items()]
    assert [point.name for point in front(points)] == ["b", "d"]


def test_likeness_of_attention() -> None:
    maps = torch.rand(3, 8, 8)
    assert likeness(maps, maps) == pytest.approx(1)
    left, right = torch.zeros(1, 4, 4), torch.zeros(1, 2, 2)
    left[0, :2, :2] = 1
    right[0, 0, 0] = 1
    assert likeness(left, right) == pytest.approx(1)
    assert likeness(left, right.flip(2)) == pytest.approx(0)


def test_an_overlay_is_bright_where_the_map_is() -> None:
    grey = np.full((32, 32, 3), 128, dtype=np.uint8)
    attention = np.zeros((2, 2), dtype=np.float32)
    attention[0, 1] = 1
    lit = np.asarray(overlay(grey, attention)).astype(float).mean(2)
    assert lit[:12, 20:].mean() > 1.2 * lit[20:, :12].mean()
    assert np.asarray(overlay(grey, np.ones((2, 2), dtype=np.float32))).std(axis=(0, 1)).max() == 0


def test_a_sheet_of_pictures_has_each_in_its_place() -> None:
    shades = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (10, 120, 230)]
    card = Card([Picture(shade, "label", "") for shade in shades], ["<name>"])
    drawn = np.asarray(Image.open(io.BytesIO(png(sheet(Gallery("", "", [card]))))).convert("RGB"))
    middle = drawn[drawn.shape[0] // 2]
    reds = [int(pixel[0]) for pixel in middle if pixel[1] == 0]
    assert sorted(set(reds)) == [10, 120, 230] and reds == sorted(reds)
