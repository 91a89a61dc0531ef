"""N-to-one representation matching (NORM)."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar

import torch.nn as nn
from pydantic import Field, model_validator

from tutelage.losses import norm_match, norm_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.models import Extension, Insertion, extension_of, find_heads
from tutelage.terms import Kept, Stage, Steps, Term

Share = Annotated[float, Field(gt=0, lt=1)]
Factor = Annotated[float, Field(ge=0)]


@METHODS.register("norm")
class Norm(Method):
    """N-to-one matching: γ·CE + f(t)·β·Σ_n mean (S_n − F_t)²; the expansion of the map to S is deployed.

    S_1, …, S_N are N representations of the teacher's width, made from the student's last map by a 1×1 convolution with
    batch normalization. A second such layer restores the student's width, and the result is added to the map. Logits
    are normalized over the classes and scaled, in evaluation too. Liu et al., "NORM: Knowledge Distillation via
    N-to-One Representation Matching", ICLR 2023 (arXiv:2305.13803).

    * The defaults N = 8, β = 1, scale 2.5 and the steps f(t) are those of the authors' CIFAR-100 code, as fractions of
      its 240 epochs. γ = 0.1 is that of their example; their script tries 0.0625 to 0.5.
    * Their ImageNet code sums over all levels; here, only the last pair of maps is compared.
    * The larger map is max-pooled. The authors fold the expansion into one convolution after training; here it stays.

    Example:
        >>> Norm(count=4).ce
        0.1
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "the last map, N times"
    deploys: ClassVar[str] = "an expansion of its last map and normalized logits"

    weight: float = Field(1.0, ge=0, description="β")
    ce: float = Field(0.1, ge=0, description="γ, the weight of the cross-entropy; in a sum with kd, kd.ce replaces it")
    count: int = Field(8, ge=1, description="N, the number of representations")
    scale: float | None = Field(2.5, gt=0, description="factor of the normalized logits; null: logits stay as they are")
    steps: tuple[Share, ...] = Field(
        (1 / 24, 1 / 12, 3 / 4, 7 / 8), description="fractions of the epochs at which f changes"
    )
    factors: tuple[Factor, ...] = Field((0.1, 0.5, 1.0, 0.5, 0.1), description="values of f, one more than steps")

    @model_validator(mode="after")
    def _steps_fit(self) -> Norm:
        if len(self.factors) != len(self.steps) + 1 or list(self.steps) != sorted(self.steps):
            raise ValueError("norm.steps must ascend, and norm.factors needs one value more than norm.steps")
        return self

    def deployed(self, pair: Pair) -> nn.Module:
        """Return the student with the expansion of its last map, and with normalized logits."""
        theirs, ours = pair.taps(None, "norm")[-1]
        (teacher_channels, *_), (channels, *_) = pair.shapes(theirs, ours)
        arguments = {"channels": channels, "teacher_channels": teacher_channels, "count": self.count}
        inserted = [Insertion(after=ours, part="norm_expansion", arguments=arguments)]
        if self.scale is not None:
            heads = find_heads(pair.student.model)
            inserted += [Insertion(after=head, part="norm_logits", arguments={"scale": self.scale}) for head in heads]
        return pair.extended(Extension(inserted=tuple(inserted)), "norm")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        extension = extension_of(pair.student.model)
        assert extension is not None
        theirs, ours = pair.taps(None, "norm")[-1][0], f"{extension.inserted[0].place}.expand"
        size = pair.common_size(theirs, ours)
        term = Term(
            "norm",
            self.weight,
            (ours,),
            (theirs,),
            partial(norm_target, size=size),
            norm_match,
            kept=Kept.of("features", "max_pooled", theirs, size=size),
            weighting=Steps(self.steps, self.factors),
        )
        return [Stage("train", pair.epochs, (term,), self.ce)]
