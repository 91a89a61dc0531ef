"""Scale decoupled distillation (SDD)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

from pydantic import Field, field_validator
from torch import Tensor

from tutelage.connectors import Classified, FrozenClassifier
from tutelage.losses import dkd_loss, kd_loss, region_logits, sdd_loss, sdd_nkd_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import LABELS, LOGITS, Kept, Stage, Term, WarmUp


@METHODS.register("sdd")
class SDD(Method):
    """Scale decoupled distillation: c·CE + w · mean over samples and regions of v·loss(z_s, z_t).

    z are the logits of a region, W·f + b with f the mean of the last map over one of its 1×1, 2×2 and 4×4 windows. v is
    2 if the teacher is right about the region but not about the image, or the other way round, and 1 otherwise. Wei,
    Luo and Luo, "Scale Decoupled Distillation", CVPR 2024 (arXiv:2403.13512).

    * ``loss="kd"`` is T²·KL with T = 4, w = 0.9 and c = 0.1, the constants of KD in mdistiller, on which the authors'
      code is built. ``loss="dkd"`` and ``loss="nkd"`` have w = c = 1 and the constants of DKD and NKD; w rises over 20
      epochs, as in the authors' code. Their NKD keeps the label's class in its second sum.
    * The authors pool the larger windows from 4×4 windows, which differs if the sides of the map are not multiples of
      4; set ``grid=4`` to do so.

    Example:
        >>> SDD(loss="dkd", beta=2).sizes
        (1, 2, 4)
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "outputs of regions"
    single_samples: ClassVar[bool] = True

    loss: Literal["kd", "dkd", "nkd"] = Field("kd", description="loss of a region")
    weight: float | None = Field(None, ge=0, description="w; 0.9 for kd and 1 for dkd and nkd where not given")
    ce: float | None = Field(None, ge=0, description="c; 0.1 for kd and 1 for dkd and nkd where not given")
    temperature: float | None = Field(None, gt=0, description="4 for kd and dkd and 1 for nkd where not given")
    alpha: float = Field(1.0, ge=0, description="dkd only: weight of the label's class")
    beta: float = Field(8.0, ge=0, description="dkd only: weight of the other classes")
    gamma: float = Field(1.5, ge=0, description="nkd only: weight of the sum over all classes")
    warmup: int | None = Field(
        None, ge=0, description="epochs over which w rises linearly; 0 for kd and 20 for dkd and nkd where not given"
    )
    sizes: tuple[int, ...] = Field(
        (1, 2, 4), description="windows per side; sizes above the sides of a map are left out"
    )
    grid: int | None = Field(None, ge=1, description="pool the map to grid × grid before the windows")

    @field_validator("sizes")
    @classmethod
    def _start_with_the_image(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if sizes[:1] != (1,) or min(sizes) < 1:
            raise ValueError(
                f"{list(sizes)} must be positive and start with 1, the whole map; the usual value is [1,2,4]"
            )
        return sizes

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        assert pair.teacher is not None
        of_kd = self.loss == "kd"
        theirs, ours = pair.teacher.last_map, pair.student.last_map
        sizes = self._sizes(*pair.common_size(theirs, ours))
        regions = partial(region_logits, sizes=sizes, grid=self.grid)
        warmup = (0 if of_kd else 20) if self.warmup is None else self.warmup
        term = Term(
            "sdd",
            (0.9 if of_kd else 1.0) if self.weight is None else self.weight,
            (ours, LABELS),
            (theirs, LOGITS),  # the logits, because regions need a teacher with the classes of the data
            Classified(FrozenClassifier(pair.teacher.classifier), regions),
            partial(sdd_loss, loss=self._loss),
            Classified(pair.student.classifier, regions),
            kept=Kept.of("statistic", "regions", theirs, sizes=sizes, grid=self.grid),
            weighting=WarmUp(warmup),
        )
        return [Stage("train", pair.epochs, (term,), (0.1 if of_kd else 1.0) if self.ce is None else self.ce)]

    def _sizes(self, height: int, width: int) -> tuple[int, ...]:
        return tuple(size for size in self.sizes if size <= min(height, width))

    def _loss(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        match self.loss:
            case "kd":
                return kd_loss(student, teacher, self.temperature or 4.0)
            case "dkd":
                alpha, beta, temperature = self.alpha, self.beta, self.temperature or 4.0
                return dkd_loss(student, teacher, labels, alpha=alpha, beta=beta, temperature=temperature)
            case "nkd":
                return sdd_nkd_loss(student, teacher, labels, temperature=self.temperature or 1.0, gamma=self.gamma)
