"""Stages, epochs and steps, and the state to go on from."""

from tutelage.training.loop.meters import Meters
from tutelage.training.loop.optimizer import build_optimizer
from tutelage.training.loop.step import Step, moving_average

__all__ = [
    "Meters",
    "Step",
    "build_optimizer",
    "moving_average",
]
