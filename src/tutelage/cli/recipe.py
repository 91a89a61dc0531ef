"""``tutelage run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tutelage.cli.words import OptionalWords
from tutelage.config import register_networks
from tutelage.console import build_console
from tutelage.errors import TutelageError
from tutelage.recipes import Published, Recipe, load_recipe, require_runs
from tutelage.runs import RunFolder
from tutelage.training import Result, run


def main(
    name: Annotated[str, typer.Argument(metavar="RECIPE", help="A name (tutelage list recipes).")],
    settings: OptionalWords = None,
) -> None:
    """Run a published experiment, beside its figures.

    \b
    tutelage run baseline/cifar10-resnet110
    tutelage run at/cifar10-resnet110-resnet20 seed=1 out=runs/at-1

    The run goes to runs/RECIPE. A recipe's teacher is the run of another recipe.
    """
    if name.endswith((".yaml", ".yml")):
        raise TutelageError(f"'{name}' is no recipe but a file of settings: tutelage distill {name}, or train {name}")
    recipe = load_recipe(name)
    changes = settings or []
    chosen = recipe.settings(*changes)
    require_runs(chosen)
    register_networks(chosen)
    console = build_console()
    console.print(announce(recipe), highlight=False, soft_wrap=True)
    result = run(chosen)
    closing = compare(recipe, result, changes)
    console.print(closing, highlight=False, soft_wrap=True)
    if not console.quiet:
        RunFolder(Path(result.folder)).log(closing)


def announce(recipe: Recipe) -> str:
    """Returns what the recipe is and what was published of it, a line a figure, with sources and differences."""
    lines = [f"{recipe.name}: {recipe.about}"]
    for figure in recipe.published:
        note = "" if figure.note is None else f"; {figure.note}"
        lines.append(f"published, {figure.of}: {figure} in {figure.source}{note}")
    return "\n".join(lines)


def compare(recipe: Recipe, result: Result, changes: list[str]) -> str:
    """Returns the published figures with ours beside those that this run has measured, each with its own rule."""
    lines = []
    for figure in recipe.published:
        value = _ours(figure, recipe, result)
        if value is not None:
            rule = [result.rule] if figure.of != "teacher" else []
            rule += [result.split, *(["with " + " ".join(changes)] if changes else [])]
            lines.append(f"{figure.of}: published {figure}; ours {value:.2f} ({', '.join(rule)})")
    return "\n".join(lines) or "nothing was published of this experiment"


def _ours(figure: Published, recipe: Recipe, result: Result) -> float | None:
    """Returns this run's value of the same figure in percent; None where it was not measured."""
    first = figure.figure.startswith("top-1")
    if figure.of == recipe.trains:
        accuracy = result.top1 if first else result.top5
    elif figure.of == "teacher" and first:
        accuracy = result.teacher_top1
    else:
        return None
    if accuracy is None:
        return None
    return 100 - accuracy if figure.figure.endswith("error") else accuracy
