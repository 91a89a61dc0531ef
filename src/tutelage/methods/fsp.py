"""Flow of the solution procedure (FSP)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field

from tutelage.errors import TutelageError
from tutelage.losses import fsp_match, fsp_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import Kept, PretrainOptimizer, Schedule, Stage, Term

Taps = tuple[str, str]
"""Pair (teacher tap, student tap)."""


@METHODS.register("fsp")
class FSP(Method):
    """Flow of the solution procedure: the student first learns the teacher's FSP matrices, then the task.

    Stage "fsp" minimizes w·Σ_layers ‖G_s − G_t‖²_F, averaged over the batch. G_ij = Σ_hw a_i·b_j / (H·W), where a is
    the input and b the output of a paired level. Deeper layers, such as the classifier, do not run. Stage "task" trains
    on CE. The epochs of the first stage are part of the run's epochs.

    The student needs the teacher's number of channels at both layers of a matrix. Yim et al., "A Gift from Knowledge
    Distillation", CVPR 2017. Set ``form=mean`` and ``pool=avg`` for the form of the CRD benchmark.

    Example:
        >>> FSP(form="mean", pool="avg").weight
        1.0
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "products of two layers"

    weight: float = Field(1.0, ge=0, description="w, the factor of each matrix's loss")
    form: Literal["paper", "mean"] = Field(
        "paper", description="squared Frobenius distance, or the mean over its elements"
    )
    pool: Literal["max", "avg"] = Field(
        "max", description="pooling of the larger map of a pair to the size of the smaller"
    )
    taps: dict[str, str] | None = Field(
        None,
        description="teacher tap: student tap, shallow to deep; a matrix joins two in a row; null: the paired levels",
    )
    epochs: int | None = Field(None, ge=1, description="epochs of the first stage; null: a fifth of the run")
    optimizer: PretrainOptimizer = Field(PretrainOptimizer(), description="optimizer of the first stage")
    schedule: Schedule = Field(Schedule(), description="schedule of the first stage")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return the stages "fsp" and "task"."""
        epochs = pair.first_epochs(self.epochs, "fsp.epochs")
        terms = tuple(self._term(pair, *layers) for layers in self._layers(pair))
        first = Stage("fsp", epochs, terms, task_weight=0.0, optimizer=self.optimizer, schedule=self.schedule)
        return [first, Stage("task", pair.epochs - epochs)]

    def _layers(self, pair: Pair) -> list[tuple[Taps, Taps]]:
        """Return the pairs of layers (earlier, later) of the FSP matrices."""
        taps = pair.taps(self.taps, "fsp")
        if self.taps is None:
            return [((f"{theirs}:in", f"{ours}:in"), (theirs, ours)) for theirs, ours in taps]
        if len(taps) < 2:
            raise TutelageError("fsp.taps has one pair of taps, but a matrix needs two; add another pair")
        return list(pairwise(taps))

    def _term(self, pair: Pair, earlier: Taps, later: Taps) -> Term:
        for theirs, ours in (earlier, later):
            teacher, student = pair.shapes(theirs, ours)
            if teacher[0] != student[0]:
                raise TutelageError(
                    f"method=fsp: the teacher's {theirs} has {teacher[0]} channels and the student's {ours} has "
                    f"{student[0]}, but FSP needs equal numbers. Use networks of equal width, set fsp.taps to layers "
                    f"with equal channels, or use another method (fitnets, ofd, at, nst)"
                )
        return Term(
            f"fsp.{later[1]}",
            self.weight,
            (earlier[1], later[1]),
            (earlier[0], later[0]),
            partial(fsp_target, pool=self.pool),
            partial(fsp_match, form=self.form, pool=self.pool),
            kept=Kept.of("statistic", "fsp", earlier[0], later[0], pool=self.pool),
        )
