"""The step loop: stages, epochs, steps; checkpoints after every epoch and within long ones, to go on bit for bit."""

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
from tutelage.runs import RunFolder
from tutelage.terms import Stage
from tutelage.training.diagnosis.diagnosis import diagnose
from tutelage.training.display.attention import log_attention
from tutelage.training.display.progress import Lines
from tutelage.training.evaluation.accuracy import Evaluation, evaluate_network
from tutelage.training.feeding.feed import Fed, build_feed
from tutelage.training.feeding.targets import RunTargets, targets_of
from tutelage.training.job.job import Job
from tutelage.training.loop.buffers import BufferBackup
from tutelage.training.loop.checkpoint import Progress, restore, snapshot
from tutelage.training.loop.epoch import Epoch
from tutelage.training.loop.gradients import GradientWatch, warn_of_drowned_task
from tutelage.training.loop.meters import Meters
from tutelage.training.loop.optimizer import build_optimizer
from tutelage.training.loop.preemption import Notice
from tutelage.training.loop.schedule import lr_factor, restarts
from tutelage.training.loop.step import Step, moving_average
from tutelage.training.tuning.compilation import compile_stage, compiles_student

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass
class Fit:
    """One training under way."""

    job: Job
    engine: Accelerator
    folder: RunFolder
    display: Lines
    teacher_predictions: Tensor | None = None
    targets: RunTargets | None = None
    notice: Notice = field(default_factory=Notice)
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.saved = time.monotonic()
        self.told: set[str] = set()
        self.first_step: AbstractContextManager[object] = nullcontext()
        self.feed = build_feed(self.job, self.engine.device, self.engine.process_index, self.engine.num_processes)
        self.loader = self.feed.loader
        self.averaged = moving_average(self.job.student, self.job.settings.ema)

    @property
    def network(self) -> nn.Module:
        """What is measured and kept: the student, or its moving average."""
        return self.job.student if self.averaged is None else self.averaged.module

    def run(self, checkpoint: dict[str, Any] | None = None) -> None:
        """Trains all stages, or what is left of them after ``checkpoint``.

        After a checkpoint, raises what ``notice`` answers, where it was received.
        """
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
        settings = self.job.settings
        constants = stage.optimizer or self.job.optimization.optimizer
        module, self.optimizer = self.engine.prepare(distiller, build_optimizer(distiller.parameters(), constants))
        if checkpoint is not None:
            rank = self.engine.process_index
            restore(checkpoint, distiller, self.optimizer, self.engine.scaler, self.averaged, rank)
        self.buffers = BufferBackup(distiller, *([self.averaged] if self.averaged is not None else []))
        self.first_step = compile_stage(distiller, self.job.settings.compile)
        student, parts = self.job.student, settings.accumulate
        step = Step(self.engine, module, self.optimizer, student, self.job.optimization.clip, parts, self.averaged)
        step.taken = self.progress.images // self.loader.batch_size + self.progress.step
        stored = self.targets.stages.get(index) if self.targets is not None else None
        first = sum(stage.epochs for stage in distiller.stages[:index])
        for number in range(self.progress.epoch, stage.epochs):
            record = self._run_epoch(self._begin(stage, number, first + number), step, stored)
            self.progress.end_epoch()
            self._finish_epoch(stage, record, first + number)
        self.engine.unwrap_model(module, keep_fp32_wrapper=False)
        self.engine.free_memory()

    def _begin(self, stage: Stage, number: int, of_run: int) -> Epoch:
        loader, meters = self.loader, Meters(self.job.distiller.term_names, self.engine.device)
        watch = GradientWatch(self.job.student)
        return Epoch(stage, number, of_run, len(loader), loader.batch_size, meters, watch, self.progress)

    def _run_epoch(self, epoch: Epoch, step: Step, stored: StoredTargets | None) -> dict[str, Any]:
        """Trains one epoch, or what is left of it, and returns its metrics."""
        progress = self.progress
        self.display.start(epoch.label, epoch.done(progress.step))
        self.job.distiller.train()
        batches = self.feed.epoch(epoch.of_run, stored.read if stored is not None else None, progress.step)
        for number in range(progress.step, epoch.steps):
            asked = time.perf_counter()
            fed = next(batches)
            progress.waited += time.perf_counter() - asked
            progress.hits += fed.targets is not None
            with self.first_step:
                lr = self._take(step, epoch, number, fed, targets_of(self.job, stored, fed, self.engine))
            self.first_step = nullcontext()
            if (number + 1) % self.job.settings.log_every == 0:
                self._check(epoch)
                self._show(epoch, number + 1, cached=stored is not None)
            progress.step, progress.step_seconds = number + 1, epoch.seconds
            if progress.step < epoch.steps:
                self._save_if_due(epoch)
        self._check(epoch)
        self._share_buffers()
        record = epoch.record(lr, stored is not None)
        progress.seconds += record["time/seconds"]
        progress.images += epoch.steps * epoch.batch_size
        return record

    def _take(self, step: Step, epoch: Epoch, number: int, fed: Fed, targets: Sequence[Tensor] | None) -> float:
        """Takes a step of the epoch, as the stage's schedule has it, and returns its learning rate."""
        settings, stage, place = self.job.settings, epoch.stage, epoch.place(number)
        usual = self.job.optimization
        schedule, peak = stage.schedule or usual.schedule, (stage.optimizer or usual.optimizer).lr
        lr = peak * lr_factor(place, stage.epochs * epoch.steps, epoch.steps, schedule)
        if restarts(place, epoch.steps, schedule):
            self.optimizer.state.clear()
        self.job.distiller.progress = place / (stage.epochs * epoch.steps)
        # Compiled backward passes free what a second one would need.
        looks = place % settings.log_every == 0 and not compiles_student(settings.compile)
        self.buffers.save(epoch.meters.stopped)
        step(fed.images, fed.labels, targets, epoch.meters, lr, epoch.watch if looks else None)
        if looks and self.engine.is_main_process:
            warn_of_drowned_task(epoch.watch.values, self.told)
        return lr

    def _show(self, epoch: Epoch, steps: int, cached: bool) -> None:
        """Shows how the epoch goes, after so many of its steps."""
        hits = self.progress.hits / steps if cached else None
        speed = steps * epoch.batch_size / epoch.seconds
        self.display.advance(epoch.done(steps), epoch.meters.means(), speed, hits)

    def _check(self, epoch: Epoch) -> None:
        """Raises :class:`TutelageError` where a step of the epoch was not finite, once all is kept to look into it."""
        fault = epoch.meters.fault()
        if fault is None:
            return
        self.progress.step, self.progress.terms = fault.step, None
        self.buffers.restore()
        state = snapshot(self.job.distiller, self.optimizer, self.engine.scaler, self.averaged, self.progress)
        if self.engine.is_main_process:
            self.folder.save_failed(state)
            failure = diagnose(self.job, self.engine, self.progress.stage, epoch.of_run, fault.step)
            self.folder.write_json("failure.json", failure.model_dump())
        self.engine.wait_for_everyone()
        path = self.folder.path
        raise TutelageError(
            f"not finite: {fault}, in {failure if self.engine.is_main_process else 'a step of all processes'}. Weights "
            f"have not changed since the step before, and the last checkpoint is good. Try a lower optimizer.lr, a "
            f"lower weight of the term, or clip=1. To look at that step again: tutelage replay {path}"
        )

    def _save_if_due(self, epoch: Epoch) -> None:
        """Writes a checkpoint within the epoch, where the last one is old or the run is to end; then ends it."""
        settings, together = self.job.settings, self.engine.num_processes > 1
        if together and self.progress.step % settings.log_every:
            return  # they have to agree, which takes an exchange
        old = time.monotonic() - self.saved >= 60 * settings.checkpoint_minutes
        stop, due = self._agree(self.notice.received is not None, old)
        if stop or due:
            self._check(epoch)
            epoch.keep_terms()
            self._save()
        if stop:
            raise self.notice.answer()

    def _agree(self, *any_of: bool) -> list[bool]:
        """Returns of each flag whether any process has it."""
        if self.engine.num_processes == 1:
            return list(any_of)
        flags = self.engine.reduce(torch.tensor(any_of, dtype=torch.float32, device=self.engine.device), "sum")
        return [flag > 0 for flag in flags.tolist()]

    def _save(self) -> None:
        state = snapshot(self.job.distiller, self.optimizer, self.engine.scaler, self.averaged, self.progress)
        if self.engine.is_main_process:
            self.folder.save_checkpoint(state)
        self.saved = time.monotonic()

    def _share_buffers(self) -> None:
        """Gives every process the running statistics of the first: each has seen batches of its own since."""
        from accelerate.utils import broadcast

        networks = [self.job.student] + ([self.averaged.module] if self.averaged is not None else [])
        for buffer in (buffer for network in networks for buffer in network.buffers()):
            broadcast(buffer)

    def _finish_epoch(self, stage: Stage, record: dict[str, Any], run_epoch: int) -> None:
        measured = self._validate(stage, run_epoch + 1)
        first = self.progress.best_top1 is None
        if measured is not None:
            found = {"top1": measured.top1, "top5": measured.top5, "loss": measured.loss}
            found |= {"agreement": measured.agreement, "balanced": measured.balanced}
            record |= {f"val/{name}": value for name, value in found.items() if value is not None}
            best, score = self.progress.best_top1, measured.score
            if score is not None and (best is None or score > best):
                self.progress.best_top1, self.progress.best_epoch = score, run_epoch + 1
                if self.engine.is_main_process:
                    save_model(self.network, self.folder.best, self.job.spec)
        self.progress.records += 1
        if self.engine.is_main_process:
            self.folder.append_metrics(record)
        self._save()
        if self.engine.is_main_process:
            self.display.finish(_line(record))
            self.folder.log(_line(record))
        numbers = {key: value for key, value in record.items() if isinstance(value, float)}
        self.engine.log(numbers, step=run_epoch + 1)
        if measured is not None and (first or run_epoch + 1 == self.job.epochs):
            log_attention(self.job, self.network, self.engine, run_epoch + 1)
        self.engine.wait_for_everyone()
        if any(self._agree(self.notice.received is not None)):
            raise self.notice.answer()

    def _validate(self, stage: Stage, epoch: int) -> Evaluation | None:
        """Evaluates the student if ``epoch`` is due; None if its head is not trained yet, or there are no such data."""
        split = self.job.data.validation
        due = epoch % self.job.settings.validate_every == 0 or epoch == self.job.epochs
        if split is None or not stage.student_logits or not due:
            return None
        network = nn.Sequential(self.job.distiller.normalization, self.network).eval()
        size, known = self.job.settings.batch_size, self.teacher_predictions
        with self.display.validating(len(split)) as advance:
            return evaluate_network(network, split, size, self.engine, known, advance)


def _line(record: dict[str, Any]) -> str:
    """One line an epoch; what is said first matters most, for a narrow terminal cuts the rest."""
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
