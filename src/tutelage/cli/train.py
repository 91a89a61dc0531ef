"""``tutelage train``."""

from __future__ import annotations

from tutelage import training
from tutelage.cli.words import Words
from tutelage.config import as_mapping


def main(settings: Words) -> None:
    """Train one network on labels, for example a teacher.

    \b
    tutelage train data=~/flowers model=timm/resnet34 model.weights=pretrained \\
        epochs=10 optimizer.lr=0.0001 out=runs/teacher

    Data are a name (tutelage list datasets), or a folder with a folder of images for each class.
    """
    training.train(**as_mapping(*settings))
