"""Attention transfer by gradient."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from tutelage.losses import gradient_attention_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import IMAGE_GRADIENT, MIRRORED_GRADIENT, Stage, Term


@METHODS.register("at_gradient")
class GradientAT(Method):
    """Attention transfer by gradient: CE + β·½‖J_s − J_t‖² with J = ∂CE/∂image.

    J is the gradient of a sample's cross-entropy with respect to its image in [0, 1], before normalization, so that
    both networks share the image. J_t is detached. The student is differentiated twice, in float32.

    ``form="symmetry"`` needs no teacher: CE + β·½‖J(x) − mirror(J(mirror(x)))‖², with a second forward pass on the
    mirrored images.

    Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017 (arXiv:1612.03928). The authors published
    neither code nor β for this method; the default is tutelage's choice.

    Example:
        >>> GradientAT(form="symmetry").needs_teacher
        False
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "image gradients of CE"
    single_samples: ClassVar[bool] = True

    weight: float = Field(0.1, ge=0, description="β")
    form: Literal["match", "symmetry"] = Field(
        "match", description="compare J with the teacher's, or with that of the mirrored image"
    )

    @property
    def needs_teacher(self) -> bool:
        """Whether the method needs a teacher, which only ``form="match"`` does."""
        return self.form == "match"

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        return [Stage("train", pair.epochs, (self._match() if self.needs_teacher else self._symmetry(),))]

    def _match(self) -> Term:
        return Term(
            "at_gradient",
            self.weight,
            (IMAGE_GRADIENT,),
            (IMAGE_GRADIENT,),
            lambda gradient: gradient,
            gradient_attention_loss,
        )

    def _symmetry(self) -> Term:
        return Term(
            "at_gradient",
            self.weight,
            (IMAGE_GRADIENT, MIRRORED_GRADIENT),
            (),
            lambda: torch.empty(0),
            _asymmetry,
        )


def _asymmetry(gradient: Tensor, mirrored: Tensor, _: Tensor) -> Tensor:
    """Return ½ ‖J − J'‖² summed over each sample and averaged over the batch; neither side is detached."""
    return (gradient - mirrored).square().sum() / (2 * gradient.shape[0])
