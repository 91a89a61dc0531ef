"""How to reproduce the run: command, settings and environment."""

from __future__ import annotations

import shlex

import yaml

from tutelage.config import TrainSettings, flatten, words
from tutelage.report.material.material import Material
from tutelage.report.material.run import Run
from tutelage.report.page.blocks import Block, Code, Details, Section, Table, Words


def reproduce(material: Material) -> Section:
    """Return the section on how to reproduce the run."""
    run = material.run
    text = f"For {run.folder}"
    text += ", the run with median accuracy." if len(material.focus.runs) > 1 else "."
    blocks: list[Block] = [Words(text)]
    blocks += [Code("Command to repeat the run", repeat_command(run))]
    config = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True)
    blocks.append(Details("All settings, resolved (config.yaml)", [Code("config.yaml", config.rstrip())]))
    if run.environment:
        rows = [[key.replace(".", " "), str(value)] for key, value in flatten(run.environment).items()]
        table = Table("Environment of the training.", ["what", "value"], rows, ["value"])
        blocks.append(Details("Environment", [table]))
    return Section("reproduce", "Reproduce", blocks)


def repeat_command(run: Run) -> str:
    """Return a command line with all non-default settings, or with the run's config file if it is invalid."""
    if run.settings is None:
        verb = "train" if "model" in run.config else "distill"
        return shlex.join(["tutelage", verb, str(run.folder / "config.yaml"), "out=NEW_FOLDER"])
    verb = "train" if isinstance(run.settings, TrainSettings) else "distill"
    settings = run.settings.model_copy(update={"out": None, "overwrite": False})
    return " \\\n    ".join([f"tutelage {verb}", *map(shlex.quote, words(settings)), "out=NEW_FOLDER"])
