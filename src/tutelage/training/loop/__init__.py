"""The training loop: stages, epochs and steps, and the state to resume from."""

from tutelage.training.loop.buffers import BufferBackup
from tutelage.training.loop.gradients import GradientWatch, measures_gradients
from tutelage.training.loop.meters import Meters
from tutelage.training.loop.optimizer import build_optimizer
from tutelage.training.loop.step import Step, moving_average

__all__ = [
    "BufferBackup",
    "GradientWatch",
    "Meters",
    "Step",
    "build_optimizer",
    "measures_gradients",
    "moving_average",
]
