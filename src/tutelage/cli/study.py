"""The verbs for several runs: ``study``, ``report`` and ``quickstart``."""

from __future__ import annotations

from tutelage import study as studies
from tutelage.cli.command import Outcome
from tutelage.cli.settings import QuickstartSettings
from tutelage.config import as_mapping, load
from tutelage.paths import expand

# Importing matplotlib takes a second, so ``tutelage.report`` is only imported in functions that use it.


def study(settings: list[str]) -> Outcome:
    tree = as_mapping(*settings)
    if "budget" in tree:
        return Outcome(studies.choose(tree))
    return Outcome(studies.search(tree) if "space" in tree else studies.study(tree))


def report(settings: list[str], *runs: str) -> Outcome:
    from tutelage.report import write_report

    page = write_report(*runs, **as_mapping(*settings))
    return Outcome({"report": page}, [f"report in {page}"])


def quickstart(settings: list[str]) -> Outcome:
    chosen = load(QuickstartSettings, *settings)
    from tutelage.report import write_report

    out = expand(chosen.out)
    found = studies.quickstart(out, chosen.seeds, chosen.epochs)
    page = write_report(out / found.title, overwrite=True)
    return Outcome(found, [f"\n{studies.conclusion(found.rows)}", f"report in {page}"])
