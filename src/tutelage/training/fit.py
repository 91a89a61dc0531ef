"""The step loop: stages, epochs, steps; checkpoints after every epoch and within long ones, to go on bit for bit."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn

from tutelage.distillation import StoredTargets
from tutelage.errors import TutelageError
from tutelage.models import save_model
from tutelage.terms import Stage
from tutelage.training.checkpoint import Progress, restore, snapshot
from tutelage.training.compilation import compile_stage, compiles_student
from tutelage.training.diagnosis import diagnose
from tutelage.training.evaluation import Evaluation, evaluate_network
from tutelage.training.feed import build_feed
from tutelage.training.folder import RunFolder
from tutelage.training.gradients import GradientWatch, warn_of_drowned_task
from tutelage.training.job import Job
from tutelage.training.meters import Meters
from tutelage.training.optimizer import build_optimizer
from tutelage.training.pictures import log_attention
from tutelage.training.preemption import Notice
from tutelage.training.progress import Bar, Lines
from tutelage.training.schedule import lr_factor, restarts
from tutelage.training.step import Step, moving_average
from tutelage.training.targets import RunTargets, targets_of


@dataclass
class Fit:
    """One training under way."""

    job: Job
    engine: Accelerator
    folder: RunFolder
    display: Bar | Lines
    teacher_predictions: Tensor | None = None
    targets: RunTargets | None = None
    notice: Notice = field(default_factory=Notice)
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.saved = time.monotonic()
        self.told: set[str] = set()
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
        constants = stage.optimizer or settings.optimizer
        module, self.optimizer = self.engine.prepare(distiller, build_optimizer(distiller.parameters(), constants))
        if checkpoint is not None:
            rank = self.engine.process_index
            restore(checkpoint, distiller, self.optimizer, self.engine.scaler, self.averaged, rank)
        compile_stage(distiller, self.job.settings.compile)
        student, parts = self.job.student, settings.accumulate
        step = Step(self.engine, module, self.optimizer, student, settings.clip, parts, self.averaged)
        step.taken = self.progress.images // self.loader.batch_size + self.progress.step
        stored = self.targets.stages.get(index) if self.targets is not None else None
        first = sum(stage.epochs for stage in distiller.stages[:index])
        for epoch in range(self.progress.epoch, stage.epochs):
            record = self._run_epoch(stage, step, stored, epoch, first + epoch)
            self.progress.end_epoch()
            self._finish_epoch(stage, record, first + epoch)
        self.engine.unwrap_model(module, keep_fp32_wrapper=False)
        self.engine.free_memory()

    def _run_epoch(
        self, stage: Stage, step: Step, stored: StoredTargets | None, epoch: int, run_epoch: int
    ) -> dict[str, Any]:
        """Trains one epoch, ``epoch`` of the stage and ``run_epoch`` of the run, and returns its metrics."""
        settings, progress = self.job.settings, self.progress
        steps = len(self.loader)
        schedule, peak = stage.schedule or settings.schedule, (stage.optimizer or settings.optimizer).lr
        meters = Meters(self.job.distiller.term_names, self.engine.device)
        watch = GradientWatch(self.job.student)
        if progress.terms is not None:
            meters.restore(progress.terms["meters"])
            watch.restore(progress.terms["gradients"])
        self.display.start(f"{stage.name} {epoch + 1}/{stage.epochs}", run_epoch * steps + progress.step)
        self.job.distiller.train()
        start = time.perf_counter() - progress.step_seconds
        batches = self.feed.epoch(run_epoch, stored.read if stored is not None else None, progress.step)
        for number in range(progress.step, steps):
            asked = time.perf_counter()
            fed = next(batches)
            progress.waited += time.perf_counter() - asked
            progress.hits += fed.targets is not None
            place = epoch * steps + number
            lr = peak * lr_factor(place, stage.epochs * steps, steps, schedule)
            if restarts(place, steps, schedule):
                self.optimizer.state.clear()
            self.job.distiller.progress = place / (stage.epochs * steps)
            targets = targets_of(self.job, stored, fed, self.engine)
            # Compiled backward passes free what a second one would need.
            looks = watch if place % settings.log_every == 0 and not compiles_student(settings.compile) else None
            step(fed.images, fed.labels, targets, meters, lr, looks)
            if looks is not None and self.engine.is_main_process:
                warn_of_drowned_task(looks.values, self.told)
            if (number + 1) % settings.log_every == 0:
                self._check(meters, run_epoch)
                speed = (number + 1) * self.loader.batch_size / (time.perf_counter() - start)
                cached = progress.hits / (number + 1) if stored is not None else None
                self.display.advance(run_epoch * steps + number + 1, meters.means(), speed, cached)
            progress.step, progress.step_seconds = number + 1, time.perf_counter() - start
            if progress.step < steps:
                self._save_if_due(meters, watch, run_epoch)
        self._check(meters, run_epoch)
        self._share_buffers()
        seconds = time.perf_counter() - start
        progress.seconds += seconds
        progress.images += steps * self.loader.batch_size
        return {
            "stage": stage.name,
            "epoch": run_epoch + 1,
            "stage_epoch": epoch + 1,
            "lr": lr,
            **{f"train/{name}": value for name, value in meters.means().items()},
            **watch.means(),
            "time/seconds": seconds,
            "time/images_per_second": steps * self.loader.batch_size / seconds,
            "time/data_wait": progress.waited / seconds,
            **({"cache/hits": progress.hits / steps} if stored is not None else {}),
        }

    def _check(self, meters: Meters, run_epoch: int) -> None:
        """Raises :class:`TutelageError` where a step of the epoch was not finite, once all is kept to look into it."""
        fault = meters.fault()
        if fault is None:
            return
        self.progress.step, self.progress.terms = fault.step, None
        state = snapshot(self.job.distiller, self.optimizer, self.engine.scaler, self.averaged, self.progress)
        if self.engine.is_main_process:
            self.folder.save_failed(state)
            failure = diagnose(self.job, self.engine, self.progress.stage, run_epoch, fault.step)
            self.folder.write_json("failure.json", failure.model_dump())
        self.engine.wait_for_everyone()
        path = self.folder.path
        raise TutelageError(
            f"not finite: {fault}, in {failure if self.engine.is_main_process else 'a step of all processes'}. Weights "
            f"have not changed since the step before, and the last checkpoint is good. Try a lower optimizer.lr, a "
            f"lower weight of the term, or clip=1. To look at that step again: tutelage replay {path}"
        )

    def _save_if_due(self, meters: Meters, watch: GradientWatch, run_epoch: int) -> None:
        """Writes a checkpoint within the epoch, where the last one is old or the run is to end; then ends it."""
        settings, together = self.job.settings, self.engine.num_processes > 1
        if together and self.progress.step % settings.log_every:
            return  # they have to agree, which takes an exchange
        old = time.monotonic() - self.saved >= 60 * settings.checkpoint_minutes
        stop, due = self._agree(self.notice.received is not None, old)
        if stop or due:
            self._check(meters, run_epoch)
            self.progress.terms = {"meters": meters.state(), "gradients": watch.state()}
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
        networks = [self.job.student] + ([self.averaged.module] if self.averaged is not None else [])
        for buffer in (buffer for network in networks for buffer in network.buffers()):
            broadcast(buffer)

    def _finish_epoch(self, stage: Stage, record: dict[str, Any], run_epoch: int) -> None:
        measured = self._validate(stage, run_epoch + 1)
        first = self.progress.best_top1 is None
        if measured is not None:
            found = {"top1": measured.top1, "top5": measured.top5, "loss": measured.loss}
            found["agreement"] = measured.agreement
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
        network = nn.Sequential(self.job.distiller.normalization, self.network)
        return evaluate_network(network, split, self.job.settings.batch_size, self.engine, self.teacher_predictions)


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
