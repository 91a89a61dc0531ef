"""The verbs that train, prepare, measure, resume or replay a run."""

from __future__ import annotations

from tutelage import training
from tutelage.cli.command import Outcome
from tutelage.cli.settings import OwnNetworks, ResumeSettings
from tutelage.config import as_mapping, load


def train(settings: list[str]) -> Outcome:
    return Outcome(training.train(**as_mapping(*settings)))


def distill(settings: list[str]) -> Outcome:
    return Outcome(training.distill(**as_mapping(*settings)))


def cache(settings: list[str]) -> Outcome:
    return Outcome(training.fill_cache(**as_mapping(*settings)))


def bench(settings: list[str]) -> Outcome:
    # Imported here, because the other verbs do not need it.
    from tutelage.bench import bench

    return Outcome(bench(**as_mapping(*settings)))


def resume(settings: list[str], folder: str) -> Outcome:
    chosen = load(ResumeSettings, *settings)
    return Outcome(training.resume(folder, chosen.network, chosen.data))


def replay(settings: list[str], folder: str) -> Outcome:
    failure = training.replay(folder, load(OwnNetworks, *settings).network)
    return Outcome(failure, [str(failure)])
