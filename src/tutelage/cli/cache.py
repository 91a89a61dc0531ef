"""``tutelage cache``."""

from __future__ import annotations

from tutelage import training
from tutelage.cli.words import Words
from tutelage.config import as_mapping


def main(settings: Words) -> None:
    """Store what a distillation needs of its teacher.

    \b
    tutelage cache data=~/flowers teacher=runs/teacher student=resnet8 \\
        method=kd epochs=60 cache.views=20

    The settings are those of tutelage distill, which then reads what is stored, with any seed. Not needed: a run with
    cache.views stores what it computes itself. An interrupted call goes on where it was.
    """
    training.fill_cache(**as_mapping(*settings))
