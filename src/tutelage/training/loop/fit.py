"""``Fit``, the training loop: stages, epochs and steps, with checkpoints after every epoch and within long ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tutelage.distillation import StoredTargets
from tutelage.errors import TutelageError
from tutelage.models import save_model
from tutelage.runs import Checkpoint, Progress, RunFolder
from tutelage.terms import Stage
from tutelage.training.diagnosis.diagnosis import diagnose
from tutelage.training.display.attention import log_attention
from tutelage.training.display.progress import Lines
from tutelage.training.evaluation.accuracy import Evaluation, evaluate_network
from tutelage.training.feeding.feed import Fed, Feed, build_feed
from tutelage.training.feeding.targets import RunTargets, targets_of
from tutelage.training.job.job import Job
from tutelage.training.loop.buffers import BufferBackup
from tutelage.training.loop.checkpoint import capture, restore
from tutelage.training.loop.epoch import Epoch
from tutelage.training.loop.gradients import GradientWatch, measures_gradients, warn_of_dominated_task
from tutelage.training.loop.meters import Meters
from tutelage.training.loop.optimizer import build_optimizer
from tutelage.training.loop.preemption import Notice
from tutelage.training.loop.schedule import lr_factor, restarts
from tutelage.training.loop.step import Step, moving_average
from tutelage.training.tuning.compilation import compile_stage

if TYPE_CHECKING:
    from accelerate import Accelerator
    from timm.utils import ModelEmaV3


@dataclass
class Fit:
    """A training run in progress: its inputs, followed by its state."""

    job: Job
    engine: Accelerator
    folder: RunFolder
    display: Lines
    teacher_predictions: Tensor | None = None
    targets: RunTargets | None = None
    notice: Notice = field(default_factory=Notice)

    feed: Feed = field(init=False)
    averaged: ModelEmaV3 | None = field(init=False)
    progress: Progress = field(default_factory=Progress, init=False)
    saved: float = field(default_factory=time.monotonic, init=False)
    """Time at which the last checkpoint was written."""
    told: set[str] = field(default_factory=set, init=False)
    """Terms for which a warning was issued."""

    # State of the current stage
    step: Step = field(init=False)
    buffers: BufferBackup = field(init=False)
    stored: StoredTargets | None = field(init=False)
    first_step: AbstractContextManager[object] = field(init=False)
    """The context of the first step, which shows that the compiler is running."""
    epoch: Epoch = field(init=False)

    def __post_init__(self) -> None:
        self.feed = build_feed(self.job, self.engine.device, self.engine.process_index, self.engine.num_processes)
        self.averaged = moving_average(self.job.student, self.job.settings.ema)

    @property
    def network(self) -> nn.Module:
        """The network to evaluate and save: the student, or its moving average."""
        return self.job.student if self.averaged is None else self.averaged.module

    def run(self, checkpoint: Checkpoint | None = None) -> None:
        """Train all stages, or the rest of them after ``checkpoint``.

        Raises:
            KeyboardInterrupt: After Ctrl-C, once a checkpoint is written.
            Preempted: After SIGTERM, once a checkpoint is written.
            TutelageError: If a step was not finite.
        """
        if checkpoint is not None:
            self.progress = checkpoint.progress
        while self.progress.stage < len(self.job.distiller.stages):
            stage = self._begin_stage()
            if checkpoint is not None:
                restore(checkpoint, self.job.distiller, self.step, self.epoch)
                checkpoint = None
            while self.progress.epoch < stage.epochs:
                record = self._run_epoch()
                self._finish_epoch(record)
                self.epoch = self._begin_epoch()
            self._end_stage()

    def _begin_stage(self) -> Stage:
        distiller, settings, index = self.job.distiller, self.job.settings, self.progress.stage
        stage = distiller.enter(index)
        constants = stage.optimizer or self.job.optimization.optimizer
        module, optimizer = self.engine.prepare(distiller, build_optimizer(distiller.parameters(), constants))
        clip, parts = self.job.optimization.clip, settings.accumulate
        self.step = Step(self.engine, module, optimizer, self.job.student, clip, parts, self.averaged)
        self.step.taken = self.progress.images // self.feed.loader.batch_size
        self.buffers = BufferBackup(distiller, *([self.averaged] if self.averaged is not None else []))
        self.stored = self.targets.stages.get(index) if self.targets is not None else None
        self.first_step = compile_stage(distiller, settings.compile)
        self.epoch = self._begin_epoch()
        return stage

    def _end_stage(self) -> None:
        self.engine.unwrap_model(self.step.module, keep_fp32_wrapper=False)
        del self.step  # before the next stage wraps the same parameters
        self.engine.free_memory()
        self.progress.stage, self.progress.epoch = self.progress.stage + 1, 0

    def _begin_epoch(self) -> Epoch:
        distiller, number, loader = self.job.distiller, self.progress.epoch, self.feed.loader
        of_run = sum(stage.epochs for stage in distiller.stages[: self.progress.stage]) + number
        meters, watch = Meters(distiller.term_names, self.engine.device), GradientWatch(self.job.student)
        return Epoch(distiller.stage, number, of_run, len(loader), loader.batch_size, meters, watch)

    def _run_epoch(self) -> dict[str, Any]:
        """Train the rest of the current epoch, and return its metrics."""
        epoch, stored = self.epoch, self.stored
        self.display.start(epoch.label, epoch.done)
        self.job.distiller.train()
        batches = self.feed.epoch(epoch.of_run, stored.read if stored is not None else None, epoch.step)
        while epoch.step < epoch.steps:
            asked = time.perf_counter()
            fed = next(batches)
            epoch.waited += time.perf_counter() - asked
            epoch.hits += fed.targets is not None
            with self.first_step:
                lr = self._take(fed, targets_of(self.job, stored, fed, self.engine))
            self.first_step = nullcontext()
            epoch.step += 1
            if epoch.step % self.job.settings.log_every == 0:
                self._check()
                means = epoch.meters.means()
                self._warn(means)
                hits = epoch.hits / epoch.step if stored is not None else None
                self.display.advance(epoch.done, means, epoch.images_per_second, hits)
            if epoch.step < epoch.steps:
                self._save_if_due()
        self._check()
        self._warn(epoch.meters.means())
        self._share_buffers()
        record = epoch.record(lr, stored is not None)
        self.progress.epoch += 1
        self.progress.seconds += record["time/seconds"]
        self.progress.images += epoch.steps * epoch.batch_size
        return record

    def _take(self, fed: Fed, targets: Sequence[Tensor] | None) -> float:
        """Take the next step of the epoch on the stage's schedule, and return its learning rate."""
        settings, epoch, usual = self.job.settings, self.epoch, self.job.optimization
        stage, place = epoch.stage, epoch.place
        schedule, peak = stage.schedule or usual.schedule, (stage.optimizer or usual.optimizer).lr
        lr = peak * lr_factor(place, stage.epochs * epoch.steps, epoch.steps, schedule)
        if restarts(place, epoch.steps, schedule):
            self.step.optimizer.state.clear()
        self.job.distiller.progress = place / (stage.epochs * epoch.steps)
        self.buffers.save(epoch.meters.stopped)
        watch = epoch.watch if measures_gradients(settings, place) else None
        self.step(fed.images, fed.labels, targets, epoch.meters, lr, watch, fed.index_for(stage))
        return lr

    def _warn(self, means: dict[str, float]) -> None:
        """Warn of terms whose mean over the epoch so far dominates the cross-entropy."""
        if self.engine.is_main_process:
            warn_of_dominated_task(means, self.told)

    def _check(self) -> None:
        """Check that all steps of the epoch were finite, and otherwise save the state for a replay.

        Raises:
            TutelageError: If a step was not finite.
        """
        epoch, path = self.epoch, self.folder.path
        fault = epoch.meters.fault()
        if fault is None:
            return
        epoch.step = fault.step
        self.buffers.restore()
        checkpoint = self._capture()
        where = "a step of all processes"
        if self.engine.is_main_process:
            self.folder.save_failed(checkpoint)
            failure = diagnose(self.job, self.engine, self.progress.stage, epoch.of_run, fault.step)
            self.folder.write_json("failure.json", failure.model_dump())
            where = str(failure)
        self.engine.wait_for_everyone()
        raise TutelageError(
            f"not finite: {fault}, in {where}. The last checkpoint was saved before this step. "
            f"Lower optimizer.lr or the weight of the term, or set clip=1. To examine the step: tutelage replay "
            f"{path}"
        )

    def _save_if_due(self) -> None:
        """Save a checkpoint within the epoch if the last one is old or the run must stop; then stop it."""
        settings, together = self.job.settings, self.engine.num_processes > 1
        if together and self.epoch.step % settings.log_every:
            return  # the processes must agree, and communicating in every step would be slow
        old = time.monotonic() - self.saved >= 60 * settings.checkpoint_minutes
        stop, due = self._agree(self.notice.received is not None, old)
        if stop or due:
            self._check()
            self._save()
        if stop:
            raise self.notice.answer()

    def _agree(self, *any_of: bool) -> list[bool]:
        """Return for each flag whether it is set in any process."""
        if self.engine.num_processes == 1:
            return list(any_of)
        flags = self.engine.reduce(torch.tensor(any_of, dtype=torch.float32, device=self.engine.device), "sum")
        return [flag > 0 for flag in flags.tolist()]

    def _capture(self) -> Checkpoint:
        return capture(self.job.distiller, self.step, self.progress, self.epoch)

    def _save(self) -> None:
        checkpoint = self._capture()
        if self.engine.is_main_process:
            self.folder.save_checkpoint(checkpoint)
        self.saved = time.monotonic()

    def _share_buffers(self) -> None:
        """Copy the running statistics of the first process to all others, which saw different batches."""
        from accelerate.utils import broadcast

        networks = [self.job.student] + ([self.averaged.module] if self.averaged is not None else [])
        for buffer in (buffer for network in networks for buffer in network.buffers()):
            broadcast(buffer)

    def _finish_epoch(self, record: dict[str, Any]) -> None:
        """Validate the student, and write the metrics and the checkpoint of the epoch."""
        epoch, progress = self.epoch.of_run + 1, self.progress
        measured = self._validate(self.epoch.stage, epoch)
        first = progress.best_top1 is None
        if measured is not None:
            found = {"top1": measured.top1, "top5": measured.top5, "loss": measured.loss}
            found |= {"agreement": measured.agreement, "balanced": measured.balanced}
            record |= {f"val/{name}": value for name, value in found.items() if value is not None}
            best, score = progress.best_top1, measured.score
            if score is not None and (best is None or score > best):
                progress.best_top1, progress.best_epoch = score, epoch
                if self.engine.is_main_process:
                    save_model(self.network, self.folder.best, self.job.spec)
        progress.records += 1
        if self.engine.is_main_process:
            self.folder.append_metrics(record)
        self._save()
        if self.engine.is_main_process:
            self.display.finish(_line(record))
            self.folder.log(_line(record))
        numbers = {key: value for key, value in record.items() if isinstance(value, float)}
        self.engine.log(numbers, step=epoch)
        if measured is not None and (first or epoch == self.job.epochs):
            log_attention(self.job, self.network, self.engine, epoch)
        self.engine.wait_for_everyone()
        if any(self._agree(self.notice.received is not None)):
            raise self.notice.answer()

    def _validate(self, stage: Stage, epoch: int) -> Evaluation | None:
        """Evaluate the student; return None if no validation is due, no head is trained, or there is no such split."""
        split = self.job.data.validation
        due = epoch % self.job.settings.validate_every == 0 or epoch == self.job.epochs
        if split is None or not stage.student_logits or not due:
            return None
        network = nn.Sequential(self.job.distiller.normalization, self.network).eval()
        size, known = self.job.settings.batch_size, self.teacher_predictions
        with self.display.validating(len(split)) as advance:
            return evaluate_network(network, split, size, self.engine, known, advance)


def _line(record: dict[str, Any]) -> str:
    """Return the line of an epoch, with the most important values first, because narrow terminals cut it off."""
    parts = [f"{record['stage']:>6} epoch {record['epoch']:>3}"]
    if "val/top1" in record:
        parts.append(f"val top-1 {record['val/top1']:.2f} %")
    elif "val/agreement" in record:
        parts.append(f"agrees with the teacher on {record['val/agreement']:.2f} %")
    parts.append(f"{record['time/images_per_second']:,.0f} images/s, {record['time/seconds']:.1f} s")
    if "cache/hits" in record:
        parts.append(f"cache {100 * record['cache/hits']:.0f} %")
    losses = {key.removeprefix("train/"): value for key, value in record.items() if key.startswith("train/")}
    parts.append(" ".join(f"{name} {value:.4f}" for name, value in losses.items()))
    return "  ".join(parts)
