"""Write the model card: ``README.md`` with metadata for the Hugging Face Hub."""

from __future__ import annotations

import re
from importlib import metadata, resources
from pathlib import Path

import jinja2
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from tutelage.data import ImageData
from tutelage.export.card.history import History, read_history
from tutelage.export.card.uses import uses
from tutelage.export.formats.register import FORMATS
from tutelage.export.record import Record
from tutelage.models import HUB, TIMM
from tutelage.runs import Student


class Verbatim(str):
    """Text to insert into the card without escaping."""


def write_card(student: Student, record: Record, data: ImageData, folder: Path, repository: str | None) -> None:
    """Write ``README.md`` into an export folder: the model, its training, its results and how to use it.

    Names of data, classes and files are escaped, so that they are not interpreted as Markdown, HTML or YAML.
    """
    history = read_history(student.source) if student.is_run else None
    title = repository or f"{record.model} on {record.data}"
    environment = jinja2.Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=plain,
        undefined=jinja2.StrictUndefined,
    )
    source = resources.files("tutelage.export") / "templates" / "card.md.jinja"
    text = environment.from_string(source.read_text(encoding="utf-8")).render(
        metadata=Verbatim(_metadata(record, history, title)),
        title=title,
        record=record,
        formats=FORMATS,
        data=data,
        history=history,
        uses=uses(record, repository),
        block=_block,
        percent=_percent,
        version=metadata.version("tutelage"),
    )
    ModelCard(text).save(folder / "README.md")


def plain(text: object) -> str:
    """Return text on one line, escaped for Markdown and HTML."""
    if isinstance(text, Verbatim):
        return text
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", re.sub(r"\s+", " ", str(text)))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2f} %"


def _block(code: str, language: str) -> Verbatim:
    """Return a code block whose fence is longer than any in the code."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", code)), 3)
    return Verbatim(f"{fence}{language}\n{code}\n{fence}")


def _metadata(record: Record, history: History | None, title: str) -> str:
    from_timm = record.model.startswith((TIMM, HUB)) and not record.extended
    tags = ["image-classification", "tutelage"]
    tags += ["knowledge-distillation"] if history is not None and history.teachers else []
    results = None
    if history is not None and history.result.top1 is not None:
        results = [
            EvalResult(
                task_type="image-classification",
                dataset_type=record.data,
                dataset_name=record.data,
                dataset_split=history.result.split,
                metric_type="accuracy",
                metric_name="top-1 accuracy in percent",
                metric_value=round(history.result.top1, 2),
            )
        ]
    return ModelCardData(
        library_name="timm" if from_timm else "tutelage",
        pipeline_tag="image-classification",
        tags=tags,
        metrics=["accuracy"],
        model_name=title,
        eval_results=results,
    ).to_yaml()
