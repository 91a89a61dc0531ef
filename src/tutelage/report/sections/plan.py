"""The plan of the run: networks, stages, terms and taps."""

from __future__ import annotations

import rich.table
from rich.console import RenderableType
from rich.text import Text

from tutelage.config import DistillSettings, RunSettings
from tutelage.data import ImageData
from tutelage.errors import TutelageError
from tutelage.report.material.lookup import located_teacher
from tutelage.report.material.material import Material
from tutelage.report.material.run import Run
from tutelage.report.page.blocks import Block, Code, Section, Table, Words
from tutelage.training.display import describe_plan
from tutelage.training.evaluation import ACCURACY, Measured
from tutelage.training.job import build_job

CAPTIONS = {
    "network": "Networks; MACs are the multiply-accumulates for one image.",
    "stage": "Stages: each term with its weight, its taps in both networks, and the connector between them.",
}


def plan(material: Material) -> Section | None:
    """Return the section, rebuilt from the settings or else copied from the log; None if neither is possible."""
    run = material.run
    blocks: list[Block] = []
    if run.settings is not None and material.data is not None:
        try:
            blocks = _built(run, run.settings, material.data)
        except TutelageError as error:
            material.missing.append(f"The plan could not be rebuilt: {error}.")
    if not blocks and run.log:
        blocks = [Code("Logged by the run", _logged(run.log))]
    return Section("plan", "Plan", blocks) if blocks else None


def _built(run: Run, settings: RunSettings, data: ImageData) -> list[Block]:
    if isinstance(settings, DistillSettings) and settings.teacher is not None:
        settings = settings.model_copy(update={"teacher": located_teacher(settings.teacher, run.folder)})
    job = build_job(settings, data)
    shown = describe_plan(job, _teacher_measured(run))
    return [block for renderable in shown.renderables for block in _block(renderable)]


def _teacher_measured(run: Run) -> Measured | None:
    """Return the teacher's accuracy as recorded by the run."""
    recorded = run.teacher
    return Measured(recorded.get("measure", ACCURACY), recorded["split"], recorded["top1"]) if recorded else None


def _block(renderable: RenderableType) -> list[Block]:
    if isinstance(renderable, Text):
        return [Words(" ".join(renderable.plain.removeprefix("data ").split()), quiet=True)]
    assert isinstance(renderable, rich.table.Table)
    headers = [str(column.header) for column in renderable.columns]
    rows = [list(map(str, row)) for row in zip(*(column.cells for column in renderable.columns))]
    words = [str(column.header) for column in renderable.columns if column.justify != "right"]
    return [Table(CAPTIONS.get(headers[0], ""), headers, rows, words)]


def _logged(log: str) -> str:
    """Return the log up to the first epoch."""
    lines = log.splitlines()
    first = next((number for number, line in enumerate(lines) if " epoch " in line and " loss " in line), len(lines))
    return "\n".join(line.rstrip() for line in lines[:first])
