"""Class attention transfer (CAT-KD)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from tutelage.connectors import Classified, FrozenClassifier
from tutelage.losses import cat_kd_match, cat_kd_target, class_map, pool_to
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import LOGITS, Kept, Stage, Term


@METHODS.register("cat_kd")
class CATKD(Method):
    """Class attention transfer: CE + β · mean over batch, classes and cells of (A_s − A_t)².

    A is a class's activation map W·F + b of the last map F, average-pooled to r×r and scaled to unit L2 norm. W and b
    are the network's own classifier; the student's is trained through its class maps too. Guo, Yan, Li and Lin, "Class
    Attention Transfer Based Knowledge Distillation", CVPR 2023 (arXiv:2304.12777).

    * The defaults β = 400, r = 2 and unit norm are those of the authors' code. Their β depends on the pair of networks
      (0.5 to 600), and they do not normalize for students that resemble the teacher.
    * The authors replace the classifier of both networks by a 1×1 convolution before the pooling. Pooling and a linear
      layer commute, so here the networks stay as they are, and F is pooled before it is classified.

    Example:
        >>> CATKD(weight=15, normalize=False).resolution
        2
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "class activation maps"

    weight: float = Field(400.0, ge=0, description="β")
    resolution: int = Field(2, ge=1, description="r, side of the pooled class maps; smaller maps keep their size")
    normalize: bool = Field(True, description="scale each pooled class map to unit norm")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        assert pair.teacher is not None
        theirs, ours = pair.teacher.last_map, pair.student.last_map
        height, width = pair.common_size(theirs, ours)
        size = min(self.resolution, height), min(self.resolution, width)
        target = partial(_target, size=size, normalize=self.normalize)
        term = Term(
            "cat_kd",
            self.weight,
            (ours,),
            (theirs, LOGITS),  # the logits, because class maps need a teacher with the classes of the data
            Classified(FrozenClassifier(pair.teacher.classifier), target),
            partial(cat_kd_match, resolution=self.resolution, normalize=self.normalize),
            Classified(pair.student.classifier, partial(_pooled_class_map, size=size)),
            kept=Kept.of("statistic", "class_map", theirs, size=size, normalize=self.normalize),
        )
        return [Stage("train", pair.epochs, (term,))]


def _pooled_class_map(features: Tensor, weight: Tensor, bias: Tensor | None, size: tuple[int, int]) -> Tensor:
    return class_map(pool_to(features, size), weight, bias)


def _target(features: Tensor, weight: Tensor, bias: Tensor | None, size: tuple[int, int], normalize: bool) -> Tensor:
    return cat_kd_target(_pooled_class_map(features, weight, bias, size), resolution=max(size), normalize=normalize)
