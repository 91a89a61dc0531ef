"""Training on the teacher's feature maps, together with the labels or one block at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from tutelage.connectors import adapter
from tutelage.errors import TutelageError
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.hints import hint_term
from tutelage.methods.kd import logits_term
from tutelage.terms import PretrainOptimizer, Schedule, Stage, Term

Taps = tuple[str, str]
"""Pair (teacher tap, student tap)."""


@METHODS.register("feature_maps")
class FeatureMaps(Method):
    """Feature maps: the student regresses n maps of the teacher, L + w·Σ_i mean of (F_s,i − F_t,i)².

    L is CE, or (1 − α)·CE + α·T²·KL with ``last="kd"``. The maps are the outputs of the stem and of the paired levels;
    ``count`` keeps the first n. Student maps with other channels than the teacher's pass through a 1×1 convolution.

    * ``form="together"`` trains on L and all maps in one stage.
    * ``form="block_at_a_time"`` has n stages, each of which trains the layers between one map and the next with all
      earlier layers frozen. A last stage trains the remaining layers on L.
    * ``form="hint_then_freeze"`` trains all layers up to the middle map on that map, then freezes them and trains the
      remaining layers on L.

    Stages before the last have their own optimizer. All stages share the run's epochs equally; the last stage also gets
    the remainder. Frozen layers are in eval mode, while in the original code their running statistics drift.

    The experiments are those of the Imagenette project that became IvLabs, "Data Efficient Stagewise Knowledge
    Distillation", 2020 (arXiv:1911.06786), whose later code divides the sum by n + 1. To start from a student that was
    trained alone, set ``student=runs/alone``.

    Example:
        >>> FeatureMaps(form="block_at_a_time", count=2).last
        'ce'
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "maps"

    form: Literal["together", "block_at_a_time", "hint_then_freeze"] = "together"
    count: int | None = Field(None, ge=1, description="number of maps, from the first; null: all")
    weight: float = Field(1.0, ge=0, description="w, the factor of each map's error")
    last: Literal["ce", "kd"] = Field("ce", description="L: the cross-entropy, or the cross-entropy and KL")
    temperature: float = Field(4.0, gt=0, description="temperature of KL; last=kd only")
    alpha: float = Field(0.9, ge=0, le=1, description="weight of KL; last=kd only")
    taps: dict[str, str] | None = Field(
        None, description="teacher tap: student tap, shallow to deep; null: the stems and paired levels"
    )
    optimizer: PretrainOptimizer = Field(PretrainOptimizer(), description="optimizer of the stages before the last")
    schedule: Schedule = Field(Schedule(), description="schedule of the stages before the last")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage, n + 1 stages for ``block_at_a_time``, or two stages for ``hint_then_freeze``."""
        pairs = self._pairs(pair)
        if self.form == "together":
            return self._together(pair, pairs)
        if self.form == "hint_then_freeze":
            pairs = [pairs[(len(pairs) - 1) // 2]]
        return self._one_by_one(pair, pairs)

    def _pairs(self, pair: Pair) -> list[Taps]:
        pairs = pair.taps(self.taps, "feature_maps")
        if self.taps is None:
            pairs = [*pair.stems(), *pairs]
        count = self.count or len(pairs)
        if count > len(pairs):
            found = ", ".join(f"{theirs} and {ours}" for theirs, ours in pairs)
            raise TutelageError(
                f"feature_maps.count={count}: these networks have {len(pairs)} pairs of maps ({found}); lower it, or "
                f"set feature_maps.taps={{TEACHER_TAP: STUDENT_TAP}}"
            )
        return pairs[:count]

    def _together(self, pair: Pair, pairs: list[Taps]) -> list[Stage]:
        maps = [self._map(pair, taps) for taps in pairs]
        task = self._task(pair)
        return [Stage("train", pair.epochs, (*maps, *task.terms), task.weight)]

    def _one_by_one(self, pair: Pair, pairs: list[Taps]) -> list[Stage]:
        epochs, left = divmod(pair.epochs, len(pairs) + 1)
        if epochs == 0:
            raise TutelageError(
                f"feature_maps.form={self.form} has {len(pairs) + 1} stages, but epochs={pair.epochs}; raise "
                f"epochs to {len(pairs) + 1} or more"
            )
        # Each stage freezes the parts that earlier stages have trained.
        trained = [(), *(pair.student.parts_up_to(ours) for _, ours in pairs)]
        stages = [
            Stage(
                f"map{number}",
                epochs,
                (self._map(pair, taps),),
                task_weight=0.0,
                frozen=before,
                optimizer=self.optimizer,
                schedule=self.schedule,
            )
            for number, (taps, before) in enumerate(zip(pairs, trained), 1)
        ]
        task = self._task(pair)
        return [*stages, Stage("task", epochs + left, task.terms, task.weight, frozen=trained[-1])]

    def _map(self, pair: Pair, taps: Taps) -> Term:
        return hint_term("map", pair, *taps, self.weight, "mean", adapter)

    def _task(self, pair: Pair) -> _Task:
        if self.last == "ce":
            return _Task(1.0, ())
        return _Task(1 - self.alpha, (logits_term(pair, self.alpha, self.temperature),))


@dataclass(frozen=True)
class _Task:
    """The loss L: the weight of the cross-entropy, and the other terms."""

    weight: float
    terms: tuple[Term, ...]
