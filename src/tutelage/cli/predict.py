"""``tutelage predict``."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer
from pydantic import Field
from rich.console import Console
from rich.text import Text

from tutelage.cli.words import OwnNetworks, paths_and_settings
from tutelage.config import load
from tutelage.errors import TutelageError
from tutelage.students import Prediction, predict


class PredictSettings(OwnNetworks):
    """``tutelage predict``: how much is shown."""

    top: int = Field(5, ge=1, description="classes an image")


_JSON = Annotated[bool, typer.Option("--json", help="Print JSON: a list of images with classes and probabilities.")]


def main(
    model: Annotated[str, typer.Argument(metavar="RUN", help="A run, a model folder, or a file of an export.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Files, or folders of them; and top=NUMBER.")],
    json: _JSON = False,
) -> None:
    """Say what is in images, with probabilities.

    \b
    tutelage predict runs/student photo.jpg holiday/ top=3
    tutelage predict runs/student/export/model.onnx photo.jpg --json
    """
    files, words = paths_and_settings(images)
    settings = load(PredictSettings, *words)
    if not files:
        raise TutelageError("no image is given: tutelage predict RUN IMAGE…")
    predictions = predict(model, files, settings.top, settings.network)
    if json:
        print(json_module.dumps([_as_json(prediction) for prediction in predictions], indent=2, ensure_ascii=False))
        return
    console = Console()
    for prediction in predictions:
        console.print(Text(str(prediction.image), "bold"), soft_wrap=True)
        for name, probability in prediction.classes:
            console.print(f"  {100 * probability:6.2f} %  ", Text(name), sep="", highlight=False, soft_wrap=True)


def _as_json(prediction: Prediction) -> dict[str, object]:
    classes = [{"class": name, "probability": probability} for name, probability in prediction.classes]
    return {"image": str(prediction.image), "classes": classes}
