"""What a run leaves: its folder, sealed files, result and environment, and the student in it."""

from tutelage.runs.environment import describe_device, describe_environment, git_commit, package_versions
from tutelage.runs.folder import RunFolder
from tutelage.runs.result import Result
from tutelage.runs.student import Predict, Student, in_channels_last, is_run, load_student, predictor

__all__ = [
    "Predict",
    "Result",
    "RunFolder",
    "Student",
    "describe_device",
    "describe_environment",
    "git_commit",
    "in_channels_last",
    "is_run",
    "load_student",
    "package_versions",
    "predictor",
]
