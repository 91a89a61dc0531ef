"""Find the layer where a step is not finite: repeat the step from the weights before it and check every layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from tutelage.distillation import Distiller
from tutelage.terms import alone
from tutelage.training.feeding.feed import build_feed
from tutelage.training.job.job import Job

if TYPE_CHECKING:
    from accelerate import Accelerator


class Failure(BaseModel):
    """The content of ``failure.json``, which describes a step whose loss or gradient is not finite."""

    model_config = ConfigDict(frozen=True)

    stage: str
    epoch: int
    """Epoch of the run, counted from 1."""
    step: int
    """Step of the epoch, counted from 1."""
    seed: int
    view: int
    rows: list[int]
    """Indices of the samples in the training set."""
    terms: dict[str, str]
    """Values of the terms as strings, because JSON cannot represent values that are not finite."""
    where: str | None
    """The first layer whose output is not finite, or else the term, or else the last parameter whose gradient is not
    finite. None if the repeated step is finite."""

    def __str__(self) -> str:
        terms = ", ".join(f"{name} {value}" for name, value in self.terms.items())
        what = f"first at {self.where}" if self.where is not None else "when replayed, the step is finite"
        return f"stage {self.stage}, epoch {self.epoch}, step {self.step} ({len(self.rows)} images): {terms}; {what}"


def diagnose(job: Job, engine: Accelerator, stage: int, epoch: int, step: int) -> Failure:
    """Repeat the forward and backward pass of a step, with the batch of all processes, and locate the first fault.

    The stage is entered again, and the weights do not change.

    Args:
        job: The job, with the weights before the failed step.
        engine: The accelerator of the run.
        stage: Index of the stage.
        epoch: Epoch of the run, counted from 0.
        step: Step of the epoch, counted from 0.
    """
    distiller = job.distiller
    name = distiller.enter(stage).name
    feed = build_feed(job, engine.device)
    fed = next(feed.epoch(epoch, first=step))
    distiller.train()
    with _seen(distiller) as faults, engine.autocast(), alone():
        out = distiller(fed.images, fed.labels, index=fed.index_for(distiller.stage))
    terms = [f"the term {name} itself, whose inputs are finite" for name, term in out.terms.items() if _bad(term)]
    where = next(iter(faults + terms), None)
    if where is None:
        distiller.zero_grad()
        out.loss.backward()
        gradients = {name: parameter.grad for name, parameter in distiller.named_parameters()}
        where = next((f"the gradient of {name}" for name, g in reversed(gradients.items()) if _bad(g)), None)
        distiller.zero_grad()
    return Failure(
        stage=name,
        epoch=epoch + 1,
        step=step + 1,
        seed=job.settings.seed,
        view=fed.view,
        rows=fed.rows.tolist(),
        terms={name: f"{term.item():.6g}" for name, term in out.terms.items()},
        where=where,
    )


@contextmanager
def _seen(distiller: Distiller) -> Iterator[list[str]]:
    """Collect the layers of the student and connectors whose output is not finite, in the order of execution."""
    names = {id(module): f"the output of {name}" for name, module in distiller.layers().items()}
    faults: list[str] = []

    def look(module: nn.Module, arguments: Any, output: Any) -> None:
        if id(module) in names and _bad(output):
            faults.append(names[id(module)])

    handle = register_module_forward_hook(look)
    try:
        yield faults
    finally:
        handle.remove()


def _bad(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and not bool(value.isfinite().all())
