"""What is needed to do it again: the command, the settings, where it ran."""

from __future__ import annotations

import shlex

import yaml

from tutelage.config import TrainSettings, flatten, words
from tutelage.report.material.material import Material
from tutelage.report.material.run import Run
from tutelage.report.page.blocks import Block, Code, Details, Section, Table, Words


def reproduce(material: Material) -> Section:
    """Returns the section."""
    run = material.run
    text = f"These are of {run.folder}"
    text += ", the run of median accuracy." if len(material.focus.runs) > 1 else "."
    blocks: list[Block] = [Words(text)]
    blocks += [Code("The command that repeats the run", repeat_command(run))]
    config = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True)
    blocks.append(Details("All settings, resolved (config.yaml)", [Code("config.yaml", config.rstrip())]))
    if run.environment:
        rows = [[key.replace(".", " "), str(value)] for key, value in flatten(run.environment).items()]
        table = Table("Where the run was trained.", ["what", "value"], rows, ["value"])
        blocks.append(Details("Environment", [table]))
    return Section("reproduce", "To repeat it", blocks)


def repeat_command(run: Run) -> str:
    """Returns a command line with all settings that are not the defaults; else one that names the run's own file."""
    if run.settings is None:
        verb = "train" if "model" in run.config else "distill"
        return shlex.join(["tutelage", verb, str(run.folder / "config.yaml"), "out=NEW_FOLDER"])
    verb = "train" if isinstance(run.settings, TrainSettings) else "distill"
    settings = run.settings.model_copy(update={"out": None, "overwrite": False})
    return " \\\n    ".join([f"tutelage {verb}", *map(shlex.quote, words(settings)), "out=NEW_FOLDER"])
