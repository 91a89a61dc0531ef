"""Attention maps of teacher and student at paired levels, on real images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from tutelage.errors import TutelageError
from tutelage.report.material.material import Material
from tutelage.report.page.blocks import Block, Card, Gallery, Picture, Section, Table, Tabs, Words
from tutelage.report.page.pictures import picture
from tutelage.runs import load_student
from tutelage.taps import Probe, pair_levels
from tutelage.training.display import attention_maps

SHOWN = 6
COMPARED = 128
"""Number of images over which the similarity of maps is averaged."""


@dataclass(frozen=True, eq=False)
class Looker:
    """A network and the taps to compute attention maps from."""

    network: nn.Module
    normalization: nn.Module
    taps: list[str]

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return a unit-norm map (B, h, w) for each tap from unnormalized images."""
        return attention_maps(self.network.cpu().eval(), self.normalization.cpu(), self.taps, images)


def attention(material: Material) -> Section | None:
    """Return the section; None without exactly one teacher, or if its levels cannot be paired with the student's."""
    members, data = material.teacher.members if material.teacher is not None else [], material.data
    if len(members) != 1 or data is None or not material.predictions:
        return None
    teacher = members[0]
    student = load_student(material.run.folder)
    teacher_probe = Probe(teacher.network.cpu(), teacher.input_size or data.size)
    try:
        pairs = pair_levels(teacher_probe, Probe(student.network, data.size))
    except TutelageError as error:
        material.missing.append(f"Attention is not shown: {error}.")
        return None
    teacher_taps, student_taps = (list(taps) for taps in zip(*pairs))
    lookers = {
        "teacher": Looker(teacher.network, teacher.normalization, teacher_taps),
        "student": Looker(student.network, student.normalization, student_taps),
    }
    if material.alone is not None:
        alone = load_student(material.alone.typical.folder)
        lookers["alone"] = Looker(alone.network, alone.normalization, student_taps)
    return Section("attention", "Attention maps", _blocks(material, lookers, pairs))


def _blocks(material: Material, lookers: dict[str, Looker], pairs: list[tuple[str, str]]) -> list[Block]:
    places = _one_a_class(material)
    pixels = material.images(places)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    maps = {role: looker.maps(images) for role, looker in lookers.items()}
    labels = next(iter(material.predictions.values())).labels
    shown = [n for n, _ in enumerate(places[:COMPARED])][:SHOWN]
    tabs: list[tuple[str, list[Block]]] = []
    for depth, (teacher_tap, student_tap) in enumerate(pairs):
        cards = []
        for n in shown:
            name = material.classes[labels[places[n]]]
            pictures = [Picture(picture(pixels[n]), "image", f"test image of class {name}")]
            for role in lookers:
                over = overlay(pixels[n], maps[role][depth][n].numpy())
                pictures.append(Picture(over, role, f"attention of the {role} at level {depth + 1}, class {name}"))
            cards.append(Card(pictures, [name]))
        caption = f"Teacher at {teacher_tap}, student at {student_tap}. Bright areas have strong activations."
        tabs.append((f"Level {depth + 1}", [Gallery(f"attention-{depth + 1}", caption, cards)]))
    text = f"The first {material.split} image of each of {len(shown)} classes, not selected by hand."
    blocks: list[Block] = [Words(text), Tabs("Level", tabs)]
    if len(lookers) > 1:
        blocks.append(_likeness(maps, pairs, len(places)))
    return blocks


def _one_a_class(material: Material) -> list[int]:
    """Return indices of images that alternate between classes: the first of each class, then the second, …"""
    labels = next(iter(material.predictions.values())).labels
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order])
    turn = np.arange(len(order)) - starts
    return [int(place) for place in order[np.lexsort((labels[order], turn))][:COMPARED]]


def overlay(pixels: NDArray[np.uint8], attention: NDArray[np.float32]) -> Image.Image:
    """Return the image in gray, overlaid with its attention map, which is scaled to the full range."""
    image = picture(pixels)
    span = attention.max() - attention.min()
    scaled = (attention - attention.min()) / (span if span > 0 else 1)
    heat = Image.fromarray((255 * scaled).astype(np.uint8)).resize(image.size, Image.Resampling.BILINEAR)
    level = np.asarray(heat, dtype=np.float32)[..., None] / 255
    grey = np.asarray(image.convert("L"), dtype=np.float32)[..., None].repeat(3, 2)
    bright = 255 * colormaps["inferno"](level[..., 0])[..., :3]
    weight = 0.2 + 0.65 * level
    return Image.fromarray(((1 - weight) * grey + weight * bright).astype(np.uint8))


def likeness(one: Tensor, other: Tensor) -> float:
    """Return the mean cosine similarity of two sets of maps (B, h, w), the larger average-pooled to the smaller."""
    height, width = min(one.shape[1:], other.shape[1:], key=math.prod)
    first, second = (F.adaptive_avg_pool2d(maps[:, None], (height, width)).flatten(1) for maps in (one, other))
    return float(F.cosine_similarity(first, second).mean())


def _likeness(maps: dict[str, list[Tensor]], pairs: list[tuple[str, str]], count: int) -> Table:
    roles = [role for role in maps if role != "teacher"]
    rows = [
        [
            f"{depth + 1}: {teacher} – {student}",
            *(f"{likeness(maps['teacher'][depth], maps[r][depth]):.3f}" for r in roles),
        ]
        for depth, (teacher, student) in enumerate(pairs)
    ]
    caption = f"Similarity to the teacher's attention: mean cosine of the maps over {count} images; 1 means equal maps."
    return Table(caption, ["level", *roles], rows)
