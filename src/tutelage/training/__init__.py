"""Training with Accelerate: the step loop, optimizer, schedule, checkpoints, metrics and progress."""

from tutelage.runs import Result
from tutelage.training.api import distill, prepare_teacher, resume, run, train
from tutelage.training.engine import build_engine
from tutelage.training.evaluate import evaluate
from tutelage.training.filling import Filled, fill_cache
from tutelage.training.job import load_run
from tutelage.training.replay import replay

__all__ = [
    "Filled",
    "Result",
    "build_engine",
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
