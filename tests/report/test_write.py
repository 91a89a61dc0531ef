"""Which pages come of which runs, and what is said where something is not there any more."""

from __future__ import annotations

import html
import json
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tutelage.cli import app
from tutelage.config import DistillSettings, load
from tutelage.errors import TutelageError
from tutelage.report import write_report
from tutelage.report.material.material import gather
from tutelage.report.material.run import read_run, read_run_set
from tutelage.report.page.blocks import Code, Table, Words
from tutelage.report.sections.attention import attention
from tutelage.report.sections.classes import classes
from tutelage.report.sections.gradients import pulls
from tutelage.report.sections.plan import plan
from tutelage.report.sections.reproduce import repeat_command
from tutelage.training import load_run


@pytest.fixture
def copy(home: Path, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ``home``, started runs and all, that may be spoilt; returns the distilled run in it."""
    monkeypatch.setenv("TUTELAGE_CACHE", str(home / "cache"))
    for name in ("digits", "runs"):
        shutil.copytree(home / name, tmp_path / name)
    return tmp_path / "runs" / runs["kd"].name


def text_of(page: Path) -> str:
    return html.unescape(page.read_text(encoding="utf-8"))


def test_one_run(copy: Path) -> None:
    material = gather(read_run_set([copy]), None)
    section = plan(material)
    assert section is not None
    networks, stages = (block for block in section.blocks if isinstance(block, Table))
    assert [row[:2] for row in networks.rows] == [["teacher", "resnet8"], ["student", "resnet8"]]
    assert ["", "", "at.layer3", "106.622", "layer3 64×4×4", "layer3 64×4×4", "none"] in stages.rows
    assert material.teacher_predictions is not None and not material.missing
    assert material.predictions[copy].top1 == pytest.approx(material.run.top1)
    assert material.teacher_predictions.top1 == pytest.approx(material.run.result.teacher_top1)


def test_a_teacher_alone_from_the_command_line(copy: Path) -> None:
    teacher = copy.parent / "teacher"
    figures = teacher / "figures"
    result = CliRunner().invoke(app, ["report", str(teacher), f"figures={figures}"])
    assert result.exit_code == 0, result.output
    assert result.output.replace("\n", "").endswith(f"report in {teacher / 'report.html'}")
    text = text_of(teacher / "report.html")
    assert "was trained without a teacher" in text and '<h2 id="classes-title">' in text
    assert "disagreements" not in text and "attention" not in text and 'id="comparison"' not in text
    names = {"learning-accuracy", "learning-loss", "learning-rate", "classes-confusion", "calibration"}
    assert {path.name for path in figures.iterdir()} == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    drawn = (figures / "classes-confusion.svg").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in drawn and "<script" not in drawn and "var(--" not in drawn
    assert (figures / "calibration.png").read_bytes().startswith(b"\x89PNG")
    again = CliRunner().invoke(app, ["report", str(teacher)])
    assert isinstance(again.exception, TutelageError) and "overwrite=true" in str(again.exception)


def test_images_that_are_gone_and_where_they_are_now(copy: Path) -> None:
    moved = copy.parents[1] / "elsewhere" / "digits"
    shutil.move(copy.parents[1] / "digits", moved)
    text = text_of(write_report(copy))
    assert "Sections that need the images are not shown" in text and "Set data=" in text
    assert "Logged by the run" in text and "at.layer3" in text
    assert 'id="classes"' not in text and 'id="learning"' in text
    assert gather(read_run_set([copy]), str(moved)).missing == []


def test_a_teacher_that_is_gone_or_another_one(copy: Path) -> None:
    teacher = copy.parent / "teacher"
    shutil.copytree(copy.parent / "none-1" / "student", teacher / "student", dirs_exist_ok=True)
    material = gather(read_run_set([copy]), None)
    assert "the weights of teacher=runs/teacher have changed since this run" in material.missing[0]
    assert material.teacher is None and attention(material) is None and classes(material) is not None
    shutil.rmtree(teacher)
    material = gather(read_run_set([copy]), None)
    assert "The teacher's predictions and attention are not shown" in material.missing[0]
    section = plan(material)
    assert section is not None and isinstance(section.blocks[0], Code) and "at.layer3" in section.blocks[0].text


def test_a_student_that_is_not_the_one_that_was_measured(copy: Path) -> None:
    result = json.loads((copy / "result.json").read_text())
    (copy / "result.json").write_text(json.dumps({**result, "top1": 3.21}))
    assert "but 3.21 % was recorded after training" in gather(read_run_set([copy]), None).missing[0]


def test_settings_of_another_version(copy: Path) -> None:
    config = yaml.safe_load((copy / "config.yaml").read_text())
    (copy / "config.yaml").write_text(yaml.safe_dump({**config, "unheard_of": 1}))
    run = read_run(copy)
    assert run.settings is None and "unheard_of" in run.fault
    assert repeat_command(run) == shlex.join(["tutelage", "distill", str(copy / "config.yaml"), "out=NEW_FOLDER"])
    material = gather(read_run_set([copy]), None)
    assert material.teacher_predictions is not None and not material.missing
    section = plan(material)
    assert section is not None and isinstance(section.blocks[0], Code)


def test_the_command_gives_the_settings_again(runs: dict[str, Path]) -> None:
    verb, *words = shlex.split(repeat_command(read_run(runs["kd"])).replace("\\\n", " "))[1:]
    assert verb == "distill" and words[-1] == "out=NEW_FOLDER"
    again = load(DistillSettings, *words)
    assert again.model_dump(exclude={"out"}) == load_run(runs["kd"]).model_dump(exclude={"out"})


def test_a_study(copy: Path) -> None:
    study = copy.parents[1]
    found = ["runs/teacher"]
    record = {"title": "My <study>", "runs": found, "rows": [], "failed": {"at-0": "it <broke>"}, "environment": {}}
    (study / "study.json").write_text(json.dumps(record))
    page = write_report(study)
    assert page == study / "report.html"
    text = page.read_text(encoding="utf-8")
    assert "<h1>Study My &lt;study&gt;</h1>" in text and "The run at-0 failed: it &lt;broke&gt;" in text


def test_mistakes_are_told_before_any_work(home: Path, runs: dict[str, Path], copy: Path, tmp_path: Path) -> None:
    def refused(*folders: Path, **settings: object) -> str:
        with pytest.raises(TutelageError) as caught:
            write_report(*folders, **settings)
        return str(caught.value)

    assert "set out, as in out=report.html" in refused(runs["kd"], runs["none-0"])
    assert "does not exist" in refused(tmp_path / "nowhere")
    assert "is not a run folder" in refused(home / "digits")
    assert "exists and is not a file; set another out" in refused(runs["kd"], out=tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.png").touch()
    assert "is not empty; set overwrite=true" in refused(runs["kd"], figures=tmp_path / "full")
    assert "did you mean figures" in refused(runs["kd"], figure=str(tmp_path))
    result = json.loads((copy / "result.json").read_text())
    (copy / "result.json").write_text(json.dumps({**result, "data": "other"}))
    assert "on different data (digits, other)" in refused(copy, runs["none-0"], out=tmp_path / "r.html")
    (copy / "result.json").unlink()
    assert "tutelage resume" in refused(copy)


def test_gradients_that_were_not_measured_name_their_setting() -> None:
    metrics = [{"train/ce": 1.0, "train/kd": 2.0}]
    [(name, [words])] = pulls(metrics, ["ce", "kd"])
    assert name == "Gradients" and isinstance(words, Words) and "log_gradients=true" in words.text
    assert pulls(metrics, ["ce"]) == []
