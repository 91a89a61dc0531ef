"""Training: the step loop, optimiser, schedule, checkpoints, metrics, progress; Accelerate underneath."""

from tutelage.training.api import distill, load_run, prepare_teacher, resume, run, train
from tutelage.training.evaluate import evaluate
from tutelage.training.filling import Filled, fill_cache
from tutelage.training.replay import replay
from tutelage.training.result import Result

__all__ = [
    "Filled",
    "Result",
    "distill",
    "evaluate",
    "fill_cache",
    "load_run",
    "prepare_teacher",
    "replay",
    "resume",
    "run",
    "train",
]
