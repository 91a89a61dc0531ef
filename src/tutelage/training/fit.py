"""The step loop: stages, epochs, steps; a checkpoint after every epoch, from which a run continues bit for bit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import broadcast
from torch import Tensor

from tutelage.data import Mixing, TrainLoader, Views
from tutelage.distillation import TASK, Distiller
from tutelage.models import save_model
from tutelage.terms import Stage
from tutelage.training.evaluation import Evaluation, evaluate_network
from tutelage.training.folder import RunFolder
from tutelage.training.job import Job
from tutelage.training.meters import Meters
from tutelage.training.optimizer import build_optimizer
from tutelage.training.progress import Bar, Lines
from tutelage.training.schedule import lr_factor, restarts


@dataclass
class Progress:
    """Where a run stands after its last finished epoch: all that a checkpoint holds beside tensors."""

    stage: int = 0
    epoch: int = 0
    """Finished epochs of the stage."""
    seconds: float = 0.0
    images: int = 0
    best_top1: float | None = None
    """Highest accuracy on validation, in percent."""
    best_epoch: int | None = None
    """The epoch of the whole run, from 1, that it was reached in."""
    records: int = 0
    """Lines of metrics.jsonl."""


@dataclass
class Fit:
    """One training under way."""

    job: Job
    engine: Accelerator
    folder: RunFolder
    display: Bar | Lines
    teacher_predictions: Tensor | None = None
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        settings, data = self.job.settings, self.job.data
        self.loader = TrainLoader(
            data.train, settings.batch_size, settings.seed, self.engine.process_index, self.engine.num_processes
        )
        self.views = Views.of(data, settings.data)
        self.mixing = Mixing.of(data, settings.data)

    def run(self, checkpoint: dict[str, Any] | None = None) -> None:
        """Trains all stages, or what is left of them after ``checkpoint``."""
        stages = self.job.distiller.stages
        if checkpoint is not None:
            self.progress = Progress(**checkpoint["progress"])
        for index in range(self.progress.stage, len(stages)):
            self._run_stage(index, checkpoint)
            checkpoint = None
            self.progress.stage, self.progress.epoch = index + 1, 0

    def _run_stage(self, index: int, checkpoint: dict[str, Any] | None) -> None:
        distiller = self.job.distiller
        stage = distiller.enter(index)
        settings = stage.optimizer or self.job.settings.optimizer
        module, optimizer = self.engine.prepare(distiller, build_optimizer(distiller.parameters(), settings))
        if checkpoint is not None:
            restore(checkpoint, distiller, optimizer)
        first = sum(stage.epochs for stage in distiller.stages[:index])
        for epoch in range(self.progress.epoch, stage.epochs):
            record = self._run_epoch(stage, module, optimizer, epoch, first + epoch)
            self.progress.epoch = epoch + 1
            self._finish_epoch(stage, record, optimizer, first + epoch)
        self.engine.unwrap_model(module, keep_fp32_wrapper=False)
        self.engine.free_memory()

    def _run_epoch(
        self, stage: Stage, module: torch.nn.Module, optimizer: AcceleratedOptimizer, epoch: int, run_epoch: int
    ) -> dict[str, Any]:
        """Trains one epoch, ``epoch`` of the stage and ``run_epoch`` of the run, and returns its metrics."""
        settings = self.job.settings
        steps = len(self.loader)
        schedule, peak = stage.schedule or settings.schedule, (stage.optimizer or settings.optimizer).lr
        names = [TASK] * (stage.task_weight > 0) + [term.name for term in stage.terms]
        meters = Meters(names, self.engine.device)
        label = f"{stage.name} {epoch + 1}/{stage.epochs}"
        self.display.start(label, run_epoch * steps)
        self.job.distiller.train()
        start, waited = time.perf_counter(), 0.0
        batches = self._batches(run_epoch)
        for step in range(steps):
            asked = time.perf_counter()
            images, labels = next(batches)
            waited += time.perf_counter() - asked
            place = epoch * steps + step
            lr = peak * lr_factor(place, stage.epochs * steps, steps, schedule)
            if restarts(place, steps, schedule):
                optimizer.state.clear()
            self.job.distiller.progress = place / (stage.epochs * steps)
            self._step(module, optimizer, meters, images, labels, lr)
            if (step + 1) % settings.log_every == 0:
                meters.check(f"stage {stage.name}, epoch {epoch + 1}, by step {step + 1}")
                speed = (step + 1) * self.loader.batch_size / (time.perf_counter() - start)
                self.display.advance(run_epoch * steps + step + 1, meters.means(), speed)
        meters.check(f"stage {stage.name}, epoch {epoch + 1}")
        self._share_buffers()
        seconds = time.perf_counter() - start
        self.progress.seconds += seconds
        self.progress.images += steps * self.loader.batch_size
        return {
            "stage": stage.name,
            "epoch": run_epoch + 1,
            "stage_epoch": epoch + 1,
            "lr": lr,
            **{f"train/{name}": value for name, value in meters.means().items()},
            "time/seconds": seconds,
            "time/images_per_second": steps * self.loader.batch_size / seconds,
            "time/data_wait": waited / seconds,
        }

    def _share_buffers(self) -> None:
        """Gives every process the running statistics of the first: each has seen batches of its own since."""
        for buffer in self.job.student.buffers():
            broadcast(buffer)

    def _batches(self, run_epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        device = self.engine.device
        for step, batch in enumerate(self.loader.epoch(run_epoch)):
            images, labels = (part.to(device, non_blocking=True) for part in (batch.images, batch.labels))
            images = self.views(images, batch.index, run_epoch)
            if self.mixing is not None:
                start = step * self.loader.batch_size + self.engine.process_index * len(labels)
                images, labels = self.mixing(images, labels, start, run_epoch)
            yield images.contiguous(memory_format=torch.channels_last), labels

    def _step(
        self,
        module: torch.nn.Module,
        optimizer: AcceleratedOptimizer,
        meters: Meters,
        images: Tensor,
        labels: Tensor,
        lr: float,
    ) -> None:
        out = module(images, labels)
        stopped = meters.update(out.terms)
        self.engine.backward(out.loss)
        if self.job.settings.clip is not None:
            self.engine.clip_grad_norm_(module.parameters(), self.job.settings.clip)
        for group in optimizer.param_groups:
            group["lr"] = lr
        # The fused kernel reads this on the device: from the first loss that is not finite on, nothing is updated.
        optimizer.optimizer.found_inf = self.engine.reduce(stopped, "sum")
        optimizer.step()
        optimizer.zero_grad()

    def _finish_epoch(self, stage: Stage, record: dict[str, Any], optimizer: Any, run_epoch: int) -> None:
        measured = self._validate(stage, run_epoch + 1)
        if measured is not None:
            record |= {"val/top1": measured.top1, "val/top5": measured.top5, "val/loss": measured.loss}
            if measured.agreement is not None:
                record["val/agreement"] = measured.agreement
            if self.progress.best_top1 is None or measured.top1 > self.progress.best_top1:
                self.progress.best_top1, self.progress.best_epoch = measured.top1, run_epoch + 1
                if self.engine.is_main_process:
                    save_model(self.job.student, self.folder.best, self.job.spec)
        self.progress.records += 1
        if self.engine.is_main_process:
            self.folder.append_metrics(record)
            self.folder.save_checkpoint(snapshot(self.job.distiller, optimizer, self.progress))
            self.display.finish(_line(record))
            self.folder.log(_line(record))
        numbers = {key: value for key, value in record.items() if isinstance(value, float)}
        self.engine.log(numbers, step=run_epoch + 1)
        self.engine.wait_for_everyone()

    def _validate(self, stage: Stage, epoch: int) -> Evaluation | None:
        """Evaluates the student if ``epoch`` is due; None if its head is not trained yet, or there are no such data."""
        split = self.job.data.validation
        due = epoch % self.job.settings.validate_every == 0 or epoch == self.job.epochs
        if split is None or not stage.student_logits or not due:
            return None
        network = torch.nn.Sequential(self.job.distiller.normalization, self.job.student)
        return evaluate_network(network, split, self.job.settings.batch_size, self.engine, self.teacher_predictions)


def snapshot(distiller: Distiller, optimizer: Any, progress: Progress) -> dict[str, Any]:
    """Returns the whole state of a training after an epoch: tensors, optimiser, random state, position."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "student": distiller.student.state_dict(),
        "terms": distiller.terms.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": {"cpu": torch.get_rng_state(), "cuda": cuda},
        "progress": vars(progress),
    }


def restore(checkpoint: dict[str, Any], distiller: Distiller, optimizer: Any) -> None:
    """Puts a training back to where :func:`snapshot` saw it."""
    distiller.student.load_state_dict(checkpoint["student"])
    distiller.terms.load_state_dict(checkpoint["terms"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    torch.set_rng_state(checkpoint["rng"]["cpu"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(checkpoint["rng"]["cuda"])


def _line(record: dict[str, Any]) -> str:
    terms = " ".join(
        f"{key.removeprefix('train/')} {value:.4f}" for key, value in record.items() if key.startswith("train/")
    )
    top1 = f"  val top-1 {record['val/top1']:.2f} %" if "val/top1" in record else ""
    speed = f"{record['time/images_per_second']:,.0f} images/s, {record['time/seconds']:.1f} s"
    return f"{record['stage']:>6} epoch {record['epoch']:>3}  {terms}{top1}  {speed}"
