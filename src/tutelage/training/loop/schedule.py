"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math

from tutelage.terms import Schedule


def lr_factor(step: int, steps: int, steps_per_epoch: int, settings: Schedule) -> float:
    """Returns the factor of the peak learning rate at ``step`` (from 0) of a stage of ``steps`` steps, in [0, 1].

    Warm-up rises linearly over ``warmup`` epochs. Then: ``cosine`` falls from 1 towards 0; ``one_cycle`` rises along a
    cosine from 1/25 over the share ``rise`` and falls along a cosine to 1/250,000 (Smith, Topin, 2018, with torch's
    constants); ``step`` multiplies by ``gamma`` at each of the ``milestones`` (epochs); ``constant`` stays 1.
    """
    warmup = settings.warmup * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if settings.name == "step":
        return settings.gamma ** sum(step >= epoch * steps_per_epoch for epoch in settings.milestones)
    if settings.name == "constant":
        return 1.0
    progress = (step - warmup) / max(1.0, steps - warmup)
    if settings.name == "cosine":
        return _cosine(1.0, 0.0, progress)
    if progress < settings.rise:
        return _cosine(1 / 25, 1.0, progress / settings.rise)
    return _cosine(1.0, 1 / 250_000, (progress - settings.rise) / (1 - settings.rise))


def restarts(step: int, steps_per_epoch: int, settings: Schedule) -> bool:
    """Whether the optimiser forgets its momentum before ``step`` (from 0): at each milestone, where that is asked for.

    The official code of OFD and of Attention Transfer builds a new optimiser at every drop of the rate.
    """
    milestones = (math.ceil(epoch * steps_per_epoch) for epoch in settings.milestones)
    return settings.restart and settings.name == "step" and step in milestones


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
