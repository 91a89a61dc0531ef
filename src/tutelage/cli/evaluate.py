"""``tutelage evaluate``."""

from __future__ import annotations

from typing import Annotated

import typer

from tutelage import training
from tutelage.config import as_mapping
from tutelage.console import build_console
from tutelage.training.evaluation import describe_imbalance

_HELP = "model=RUN, and where wanted data=…, split=test|validation|train, batch_size=…, precision=…, device=…."


def main(settings: Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help=_HELP)]) -> None:
    """Measure a run, or any network, on a split of data.

    \b
    tutelage evaluate model=runs/student split=validation
    tutelage evaluate model=timm/resnet18 model.weights=pretrained data=~/imagenet
    """
    figures = training.evaluate(**as_mapping(*settings))
    found = "no labels to measure by"
    if figures["top1"] is not None:
        found = f"{figures['top1']:.2f} % top-1, {figures['top5']:.2f} % top-5, loss {figures['loss']:.4f}"
        found += describe_imbalance(figures["balanced_top1"], figures["majority"])
    where = f"{figures['count']:,} images of {figures['split']}, in {figures['precision']}"
    build_console().print(f"{found} on {where}", highlight=False, soft_wrap=True)
