"""``replay``: the step that a run failed at, taken again."""

from __future__ import annotations

from pathlib import Path

from tutelage.models import Networks, made_known
from tutelage.paths import expand
from tutelage.runs import RunFolder
from tutelage.training.api import build_taught_job, load_run
from tutelage.training.diagnosis.diagnosis import Failure, diagnose
from tutelage.training.engine import build_engine


def replay(folder: str | Path, network: Networks = None) -> Failure:
    """Takes the step of ``RUN/failure.json`` again, in one process, from the weights it began with.

    A run of networks of your own takes them again, as :func:`tutelage.resume` does. Raises :class:`TutelageError` where
    ``folder`` is not a run, or none of its steps failed.
    """
    with made_known(network):
        return _replay(expand(folder))


def _replay(path: Path) -> Failure:
    settings = load_run(path)
    state = RunFolder(path).load_failed()
    job = build_taught_job(settings, path)
    engine = build_engine(settings.precision, settings.device)
    progress = state["progress"]
    job.distiller.to(engine.device).enter(progress["stage"])
    job.distiller.student.load_state_dict(state["student"])
    job.distiller.terms.load_state_dict(state["terms"])
    return diagnose(job, engine, progress["stage"], progress["records"], progress["step"])
