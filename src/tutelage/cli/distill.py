"""``tutelage distill``."""

from __future__ import annotations

from tutelage import training
from tutelage.cli.words import Words
from tutelage.config import as_mapping


def main(settings: Words) -> None:
    """Train a student under a teacher.

    \b
    tutelage distill data=~/flowers teacher=runs/teacher student=resnet8 \\
        method=kd+at kd.temperature=2 epochs=60 out=runs/student
    tutelage distill data=~/flowers teacher=timm/resnet50.a1_in1k \\
        teacher.finetune=head student=timm/resnet18 method=kd+at

    The teacher is a run (tutelage train), or pretrained and fine-tuned first, as in the second line. All settings, with
    their defaults: tutelage list settings. All methods: tutelage list methods. Places to tap: tutelage inspect MODEL.
    """
    training.distill(**as_mapping(*settings))
