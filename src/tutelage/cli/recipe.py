"""``tutelage run``."""

from __future__ import annotations

from pathlib import Path

from tutelage.cli.command import Outcome
from tutelage.config import register_networks
from tutelage.console import build_console
from tutelage.recipes import Published, Recipe, load_recipe, require_runs
from tutelage.runs import RunFolder
from tutelage.training import Result, run


def run_recipe(settings: list[str], name: str) -> Outcome:
    recipe = load_recipe(name)
    chosen = recipe.settings(*settings)
    require_runs(chosen)
    register_networks(chosen)
    console = build_console()
    console.print(announce(recipe), highlight=False, soft_wrap=True)
    result = run(chosen)
    closing = compare(recipe, result, settings)
    console.print(closing, highlight=False, soft_wrap=True)
    if not console.quiet:
        RunFolder(Path(result.folder)).log(closing)
    return Outcome(result)


def announce(recipe: Recipe) -> str:
    """Return the description of a recipe, and a line per published result with its source and differences."""
    lines = [f"{recipe.name}: {recipe.about}"]
    for figure in recipe.published:
        note = "" if figure.note is None else f"; {figure.note}"
        lines.append(f"published, {figure.of}: {figure} in {figure.source}{note}")
    return "\n".join(lines)


def compare(recipe: Recipe, result: Result, changes: list[str]) -> str:
    """Return a comparison of the published results with those of this run, each with its selection rule."""
    lines = []
    for figure in recipe.published:
        value = _ours(figure, recipe, result)
        if value is not None:
            rule = [result.rule] if figure.of != "teacher" else []
            rule += [result.split, *(["with " + " ".join(changes)] if changes else [])]
            lines.append(f"{figure.of}: published {figure}; ours {value:.2f} ({', '.join(rule)})")
    return "\n".join(lines) or "there is no published result for this experiment"


def _ours(figure: Published, recipe: Recipe, result: Result) -> float | None:
    """Return the value that this run measured for a published result, in percent, or None if it measured none."""
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
