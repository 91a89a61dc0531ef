"""``tutelage study``."""

from __future__ import annotations

from tutelage import study
from tutelage.cli.words import Words


def main(settings: Words) -> None:
    """Compare methods, students, teachers, or any setting, over seeds.

    \b
    tutelage study data=~/flowers teacher=runs/teacher student=resnet8 epochs=60 \\
        grid.method=[none,kd,at,kd+at] seeds=5 workers=2 out=runs/study

    Keys are those of tutelage distill, and grid.KEY=[…] for whatever varies. The runs share data, length, schedule,
    rule and stored targets. The same command again goes on where it was: a finished run is never run again. The table
    has mean ± standard deviation, and which differences the seeds show; tutelage report draws it.
    """
    study.study(*settings)
