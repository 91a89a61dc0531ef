"""Compute the learning rate as a pure function of the step."""

from __future__ import annotations

import math

from tutelage.terms import Schedule


def lr_factor(step: int, steps: int, steps_per_epoch: int, settings: Schedule) -> float:
    """Return the factor in [0, 1] of the peak learning rate at a step.

    It rises linearly over ``warmup`` epochs. Then ``cosine`` falls from 1 towards 0; ``one_cycle`` rises along a cosine
    from 1/25 over the fraction ``rise`` and falls along a cosine to 1/250,000 (Smith and Topin, 2018, with PyTorch's
    constants); ``step`` multiplies by ``gamma`` at each of the ``milestones`` (epochs); ``constant`` stays 1.

    Args:
        step: Step of the stage, counted from 0.
        steps: Number of steps in the stage.
        steps_per_epoch: Number of steps per epoch.
        settings: The schedule.

    Example:
        >>> schedule = Schedule(name="step", milestones=(5,), gamma=0.1)
        >>> [lr_factor(step, 100, 10, schedule) for step in (0, 49, 50)]
        [1.0, 1.0, 0.1]
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
    """Return whether the optimizer's state is reset before ``step``: at each milestone, if ``restart`` is set.

    The official code of OFD and Attention Transfer builds a new optimizer at every drop of the learning rate.
    """
    milestones = (math.ceil(epoch * steps_per_epoch) for epoch in settings.milestones)
    return settings.restart and settings.name == "step" and step in milestones


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
