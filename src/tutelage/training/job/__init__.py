"""Assemble and check everything a run needs from its settings."""

from tutelage.training.job.checks import check_cacheable, check_trained
from tutelage.training.job.classes import match_data
from tutelage.training.job.defaults import OPEN
from tutelage.training.job.finetuning import FOLDER, finetuned, to_finetune
from tutelage.training.job.job import Job, build_job
from tutelage.training.job.measured_data import measured_data
from tutelage.training.job.networks import build_network, build_teacher, completed
from tutelage.training.job.saved_settings import load_run

__all__ = [
    "FOLDER",
    "Job",
    "OPEN",
    "build_job",
    "build_network",
    "build_teacher",
    "check_cacheable",
    "check_trained",
    "completed",
    "finetuned",
    "load_run",
    "match_data",
    "measured_data",
    "to_finetune",
]
