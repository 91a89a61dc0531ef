"""``write_report``: write the report of finished runs or a study."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib
from pydantic import Field

from tutelage.config import Settings, load
from tutelage.errors import TutelageError
from tutelage.models import made_known
from tutelage.paths import check_out, expand
from tutelage.report.material.material import Material, gather
from tutelage.report.material.run import read_run_set
from tutelage.report.page.blocks import Chart, Section, drawn
from tutelage.report.page.drawing import RC, png, svg
from tutelage.report.page.page import render
from tutelage.report.page.pictures import sheet
from tutelage.report.page.wording import plural
from tutelage.report.sections.attention import attention
from tutelage.report.sections.calibration import calibration
from tutelage.report.sections.classes import classes
from tutelage.report.sections.comparison import comparison
from tutelage.report.sections.costs import measure_costs
from tutelage.report.sections.disagreements import disagreements
from tutelage.report.sections.learning import learning
from tutelage.report.sections.plan import plan
from tutelage.report.sections.reproduce import reproduce
from tutelage.report.sections.summary import summary


class ReportSettings(Settings):
    """Settings of ``tutelage report``."""

    runs: tuple[Path, ...] = Field(min_length=1, description="finished runs, or one study")
    out: Path | None = Field(None, description="HTML file to write; default: report.html in the run or study")
    figures: Path | None = Field(None, description="folder for the figures as SVG and PNG")
    overwrite: bool = Field(False, description="replace an existing report and figures of the same names")
    data: str | None = Field(None, description="current location of the images, if they have moved")


def write_report(*runs: str | Path, **config: Any) -> Path:
    """Write the report of one run, several runs or a study.

    Predictions of the networks shown in detail are computed again.

    Args:
        runs: Folders of finished runs, or of one study.
        config: Keys of ``tutelage report``: ``out``, ``figures``, ``overwrite`` and ``data``. Pass ``network`` for runs
            of your own networks, as in ``tutelage.resume``.

    Returns:
        The path of the page.

    Raises:
        TutelageError: If a run is not finished or a file would be overwritten; checked before any work.

    Example:
        >>> import tutelage
        >>> tutelage.write_report("runs/kd-0", "runs/none-0", out="report.html", figures="figures")  # doctest: +SKIP
        PosixPath('report.html')
    """
    with made_known(config.pop("network", None)):
        return _write(runs, config)


def _write(runs: Sequence[str | Path], config: dict[str, Any]) -> Path:
    settings = load(ReportSettings, {"runs": [str(run) for run in runs], **config})
    folders = [expand(folder) for folder in settings.runs]
    run_set = read_run_set(folders)
    out = _page_path(settings, folders)
    figures = settings.figures.expanduser() if settings.figures is not None else None
    if figures is not None:
        _check_figures(figures, settings.overwrite)
    with matplotlib.rc_context(RC):
        material = gather(run_set, settings.data)
        sections = _sections(material, settings.data)
        page = render(material.title, _lead(material), _foot(), sections)
        if figures is not None:
            _write_figures(sections, figures)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    return out


def _page_path(settings: ReportSettings, folders: Sequence[Path]) -> Path:
    if settings.out is None and len(folders) > 1:
        raise TutelageError("out is missing, and several runs have no common folder; set out, as in out=report.html")
    out = settings.out.expanduser() if settings.out is not None else folders[0] / "report.html"
    check_out(out, settings.overwrite, "a file", out.is_file())
    return out


def _check_figures(folder: Path, overwrite: bool) -> None:
    if folder.is_file():
        raise TutelageError(f"figures={folder} is a file; set a folder")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise TutelageError(f"figures={folder} is not empty; set overwrite=true or another folder")


def _sections(material: Material, data: str | None) -> list[Section]:
    costs = measure_costs(material)
    found = [
        comparison(material, costs),
        plan(material),
        learning(material),
        classes(material),
        calibration(material),
        attention(material),
        disagreements(material),
        reproduce(material),
    ]
    # Last, because it lists what the other sections could not show.
    return [summary(material), *(section for section in found if section is not None)]


def _lead(material: Material) -> str:
    count = sum(len(group.runs) for group in material.groups)
    return f"{plural(count, 'run')} on {material.run.result.data}, measured on its {material.split} split"


def _foot() -> str:
    return f"Written by tutelage {metadata.version('tutelage')} on {datetime.now():%Y-%m-%d %H:%M}."


def _write_figures(sections: Sequence[Section], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for block in drawn(section.blocks):
            figure = block.figure if isinstance(block, Chart) else sheet(block)
            (folder / f"{block.name}.svg").write_text(svg(figure), encoding="utf-8")
            (folder / f"{block.name}.png").write_bytes(png(figure))
