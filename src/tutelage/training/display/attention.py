"""Attention maps of teacher and student on a few validation images, for loggers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutelage.data import EvalLoader, Split
from tutelage.errors import TutelageError
from tutelage.losses import attention_map
from tutelage.taps import Probe, as_map, pair_levels, tapped
from tutelage.training.job.job import Job

if TYPE_CHECKING:
    from accelerate import Accelerator


ROWS = 4
"""Number of images shown."""
SIDE = 96
"""Side of a cell in pixels."""
GAP = 2
"""White border of a cell in pixels."""


class Column(NamedTuple):
    """A column of the picture."""

    title: str
    cells: Tensor
    """(N, SIDE, SIDE, 3) in [0, 1]."""


def log_attention(job: Job, student: nn.Module, engine: Accelerator, epoch: int) -> None:
    """Log a picture of the attention maps with all loggers that support images, in the main process.

    Nothing is logged if a network has no feature maps.

    Args:
        job: The job of the run.
        student: The student, without wrappers for training.
        engine: The accelerator of the run.
        epoch: Epoch of the run, for the loggers.
    """
    trackers = [tracker for tracker in engine.trackers if hasattr(tracker, "log_images")]
    if not trackers or not engine.is_main_process or job.data.validation is None:
        return
    images = _spread(job.data.validation).to(engine.device)
    try:
        picture = draw([Column("image", _shown(images)), *_columns(job, student, images)])
    except TutelageError:
        return
    for tracker in trackers:
        tracker.log_images({"attention": picture}, step=epoch)


def _spread(split: Split) -> Tensor:
    """Return ROWS evenly spaced images of the split, (N, 3, H, W) uint8."""
    rows = split.rows[np.linspace(0, len(split) - 1, min(ROWS, len(split))).astype(int)]
    return next(iter(EvalLoader(Split(split.samples, rows), ROWS))).images


def _columns(job: Job, student: nn.Module, images: Tensor) -> list[Column]:
    """Return the maps at paired levels, or at the levels of the student if there is no teacher."""
    ours = Probe(student, job.input_size)
    if job.teacher is None:
        taps = [level.name for level in ours.levels if len(level.shape) == 3]
        return _maps("student", student, job.distiller.normalization, taps, images)
    teacher = job.teacher.members[0]
    theirs = Probe(teacher.network, teacher.input_size or job.data.size)
    pairs = pair_levels(theirs, ours)
    left = _maps("teacher", teacher.network, teacher.normalization, [tap for tap, _ in pairs], images)
    right = _maps("student", student, job.distiller.normalization, [tap for _, tap in pairs], images)
    return [column for pair in zip(left, right) for column in pair]


@torch.no_grad()
def attention_maps(network: nn.Module, normalization: nn.Module, taps: Sequence[str], images: Tensor) -> list[Tensor]:
    """Return a unit-norm attention map (B, h, w) at each tap for unnormalized images."""
    images = normalization(images)
    _, features = tapped(network, taps, logits=False).eval()(images)
    found = [as_map(features[tap].float(), images.shape[2:]) for tap in taps]
    return [attention_map(each).unflatten(1, each.shape[2:]) for each in found]


def _maps(role: str, network: nn.Module, normalization: nn.Module, taps: Sequence[str], images: Tensor) -> list[Column]:
    import matplotlib

    colours = matplotlib.colormaps["inferno"]
    grey = _shown(images).mean(-1, keepdim=True)
    columns = []
    for tap, attention in zip(taps, attention_maps(network, normalization, taps, images)):
        attention = F.interpolate(attention[:, None], (SIDE, SIDE), mode="bilinear")[:, 0]
        attention = attention / attention.amax((1, 2), keepdim=True).clamp_min(1e-12)
        coloured = torch.from_numpy(colours(attention.cpu().numpy())[..., :3])
        columns.append(Column(f"{role}\n{tap}", 0.3 * grey + 0.7 * coloured))
    return columns


def _shown(images: Tensor) -> Tensor:
    """Return uint8 images (N, 3, H, W) as cells."""
    return F.interpolate(images.cpu().float() / 255, (SIDE, SIDE)).permute(0, 2, 3, 1)


def draw(columns: Sequence[Column]) -> Tensor:
    """Return a picture (1, 3, H, W) in [0, 1] of the columns under their titles."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    framed = [F.pad(column.cells, (0, 0, GAP, GAP, GAP, GAP), value=1.0) for column in columns]
    grid = torch.cat([torch.cat(list(cells)) for cells in framed], dim=1)
    height, width = grid.shape[:2]
    figure = Figure(figsize=(width / 100, height / 100 + 0.5), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, height / (height + 50)))
    axes.imshow(grid.numpy(), interpolation="nearest", aspect="auto")
    middles = [(SIDE + 2 * GAP) * (place + 0.5) for place in range(len(columns))]
    axes.set_xticks(middles, [column.title for column in columns])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False, left=False, labelleft=False)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
