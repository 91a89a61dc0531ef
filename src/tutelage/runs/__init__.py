"""The output of a run: its folder, checkpoints, result, environment and student."""

from tutelage.runs.checkpoint import Checkpoint, Progress
from tutelage.runs.environment import describe_device, describe_environment, git_commit, package_versions
from tutelage.runs.folder import RunFolder
from tutelage.runs.result import Result
from tutelage.runs.sealed import DamagedFile, read_sealed, replace, write_sealed
from tutelage.runs.student import Predict, Student, in_channels_last, load_student, predictor

__all__ = [
    "Checkpoint",
    "DamagedFile",
    "Predict",
    "Progress",
    "Result",
    "RunFolder",
    "Student",
    "describe_device",
    "describe_environment",
    "git_commit",
    "in_channels_last",
    "load_student",
    "package_versions",
    "predictor",
    "read_sealed",
    "replace",
    "write_sealed",
]
