"""``tutelage study``."""

from __future__ import annotations

from tutelage import study
from tutelage.cli.words import Words
from tutelage.config import as_mapping


def main(settings: Words) -> None:
    """Compare methods or any settings, over seeds.

    \b
    tutelage study data=~/flowers teacher=runs/teacher student=resnet8 epochs=60 \\
        grid.method=[none,kd,at,kd+at] seeds=5 workers=2 out=runs/study

    Keys are those of tutelage distill, and grid.KEY=[…] for whatever varies. The runs share data, length, schedule,
    rule and stored targets. The same command again goes on where it was: a finished run is never run again. The table
    has mean ± standard deviation, and which differences the seeds show; tutelage report draws it.

    \b
    tutelage study … budget=30m out=runs/choice
    tutelage study … method=kd+at trials=20 out=runs/search \\
        "space.at.weight={low: 10, high: 10000, log: true}"

    With budget=TIME it picks a method and its weight by successive halving; with space.KEY=… it searches settings.
    Both choose on validation data, never on test, and write best.yaml.
    """
    tree = as_mapping(*settings)
    if "budget" in tree:
        study.choose(tree)
    elif "space" in tree:
        study.search(tree)
    else:
        study.study(tree)
