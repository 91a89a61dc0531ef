"""``replay``: repeat the step at which a run failed."""

from __future__ import annotations

from pathlib import Path

from tutelage.models import Networks, made_known
from tutelage.paths import expand
from tutelage.runs import RunFolder
from tutelage.training.api import build_taught_job
from tutelage.training.diagnosis.diagnosis import Failure, diagnose
from tutelage.training.engine import build_engine
from tutelage.training.job.saved_settings import load_run
from tutelage.training.loop.checkpoint import restore_networks


def replay(folder: str | Path, network: Networks = None) -> Failure:
    """Repeat the step of ``RUN/failure.json`` in one process, from the weights before it.

    Args:
        folder: The run folder.
        network: Your own networks, if the run uses any, as for :func:`tutelage.resume`.

    Returns:
        The repeated step: its terms, and the first layer that is not finite.

    Raises:
        TutelageError: If ``folder`` is not a run folder, or none of its steps failed.
    """
    with made_known(network):
        return _replay(expand(folder))


def _replay(path: Path) -> Failure:
    settings = load_run(path)
    checkpoint = RunFolder(path).load_failed()
    job = build_taught_job(settings, path)
    engine = build_engine(settings.precision, settings.device)
    progress = checkpoint.progress
    job.distiller.to(engine.device).enter(progress.stage)
    restore_networks(checkpoint, job.distiller)
    return diagnose(job, engine, progress.stage, progress.records, checkpoint.step)
