"""What the verbs do and print when all is well."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tutelage.cli import app
from tutelage.cli.command import name_json
from tutelage.cli.verbs import VERBS, verbs_table

TINY = ["data=digits", "data.fraction=0.2", "epochs=1", "precision=fp32", "device=cpu", "batch_size=256"]


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))


def good(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_taps_with_dots_and_a_folder_named_by_a_number_come_back_from_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    good("train", *TINY, "model=resnet8", "out=~/.hidden/007")
    good(
        "distill",
        *TINY,
        "teacher=~/.hidden/007",
        "student=resnet8",
        "method=at",
        "at.taps={layer3.0.add: layer3.0.add}",
    )
    run = Path("runs/resnet8-at-digits-0")
    assert yaml.safe_load((run / "config.yaml").read_text())["at"]["taps"] == {"layer3.0.add": "layer3.0.add"}
    assert (Path(".hidden/007/student/model.safetensors")).is_file()
    shown = good("distill", str(run / "config.yaml"), "out=again", "seed=1")
    assert "at.layer3.0.add" in shown
    assert "seed 1" in shown
    assert "images of test" in good("evaluate", "model=~/.hidden/007", "device=cpu")


def test_overwrite_replaces_a_run_whole() -> None:
    good("train", *TINY, "model=resnet8", "out=run")
    Path("run/extra.txt").write_text("of the old run")
    good("train", *TINY, "model=resnet8", "out=run", "overwrite=true", "seed=1")
    assert not Path("run/extra.txt").exists()
    assert yaml.safe_load(Path("run/config.yaml").read_text())["seed"] == 1
    assert yaml.safe_load(Path("run/config.yaml").read_text())["overwrite"] is False


def test_a_recipe_takes_words_and_files() -> None:
    Path("mine.yaml").write_text("optimizer: {lr: 0.01}\nseed: 5\n")
    good("run", "quick/cifar10-resnet8", "mine.yaml", *TINY, "seed=6", "out=run")
    config = yaml.safe_load(Path("run/config.yaml").read_text())
    assert (config["optimizer"]["lr"], config["optimizer"]["momentum"], config["seed"]) == (0.01, 0.9, 6)
    assert (config["data"]["name"], config["schedule"]["name"]) == ("digits", "one_cycle")


def test_inspect_names_levels_and_both_sides_of_an_activation() -> None:
    lines = good("inspect", "resnet8", "size=16").splitlines()
    assert lines[0].startswith("resnet8: 78,042 parameters")
    assert "at 16×16" in lines[0]
    assert lines[-1] == "levels: layer1, layer2, layer3"
    sides = {line.split()[0]: line.split()[-1] for line in lines[2:-1]}
    assert sides["layer3"] == "after"
    assert sides["layer3.0.add"] == "before"


@pytest.mark.parametrize("verb", sorted(command.name or "" for command in app.registered_commands))
def test_help_has_an_example_on_a_line_of_its_own(verb: str) -> None:
    shown = good(verb, "--help")
    assert any(line.strip().startswith(f"tutelage {verb} ") for line in shown.splitlines())
    assert max(map(len, shown.splitlines())) <= 80


def test_help_uses_the_text_of_the_verb() -> None:
    shown = " ".join(good("resume", "--help").split())
    assert "tutelage resume" in shown or "root resume" in shown
    assert "[OPTIONS] RUN [KEY=VALUE]..." in shown
    assert all(part in shown for part in (VERBS["resume"].summary, " ".join(VERBS["resume"].details.split())))


def test_readme_has_the_table_of_verbs() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert verbs_table() in readme.read_text(encoding="utf-8"), f"replace the table in README by:\n{verbs_table()}"


def test_guides_exist() -> None:
    docs = Path(__file__).parents[2] / "docs"
    assert all((docs / verb.page).is_file() for verb in VERBS.values() if verb.page)


def test_version() -> None:
    assert good("--version") == f"tutelage {version('tutelage')}, torch {version('torch')}\n"


JSON = {
    "list": (["list", "settings", "--json"], lambda found: {"name", "default", "description"} == set(found[0])),
    "inspect": (["inspect", "--json", "resnet8", "size=16"], lambda found: found["parameters"] == 78_042),
    "train": (["train", *TINY, "model=resnet8", "out=run", "--json"], lambda found: found["status"] == "finished"),
}


@pytest.mark.parametrize("verb", JSON)
def test_json_is_all_that_is_on_stdout(verb: str) -> None:
    words, check = JSON[verb]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (result.output, result.exception)
    assert check(json.loads(result.stdout))


def test_evaluate_writes_its_results_to_a_file() -> None:
    good("train", *TINY, "model=resnet8", "out=run")
    shown = good("evaluate", "model=run", "device=cpu", "--json", "new/results.json")
    results = json.loads(Path("new/results.json").read_text(encoding="utf-8"))
    assert f"{results['top1']:.2f} % top-1" in shown


def test_json_takes_the_next_word_only_if_it_is_a_json_file() -> None:
    words = ["compare", "--json", "runs/a", "--json", "a.json", "b.json", "--json"]
    assert name_json(words) == ["compare", "--json=-", "runs/a", "--json=a.json", "b.json", "--json=-"]
