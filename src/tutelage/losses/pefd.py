"""Projector ensemble (PEFD) loss: the angle between the student's projected embeddings and the teacher's.

Chen et al., "Improved Feature Distillation via Projector Ensemble", NeurIPS 2022, https://arxiv.org/abs/2210.15274.
"""

from __future__ import annotations

from torch import Tensor

from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_embeddings, require_same_shape, unit_norm


def pefd_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return 1 − cos(e_s, e_t), averaged over the batch.

    Embeddings of zeros count as perpendicular to all others and get no gradient. The authors' weight is 25.

    Args:
        student: The student's embeddings (B, D) after its projectors, see ``ProjectorEnsemble``.
        teacher: The teacher's embeddings (B, D).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ or an input is not two-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import pefd_loss
        >>> pefd_loss(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0]]))
        tensor(0.4000)
    """
    return pefd_match(student, pefd_target(teacher))


@full_precision
def pefd_target(teacher: Tensor) -> Tensor:
    """Return the teacher's embeddings, detached.

    Args:
        teacher: The teacher's embeddings (B, D).

    Returns:
        The target (B, D).

    Example:
        >>> import torch
        >>> from tutelage.losses import pefd_target
        >>> pefd_target(torch.randn(2, 16, requires_grad=True)).requires_grad
        False
    """
    return teacher.detach()


@full_precision
def pefd_match(student: Tensor, target: Tensor) -> Tensor:
    """Return ``pefd_loss`` from the student's embeddings and a cached target.

    Args:
        student: The student's embeddings (B, D) after its projectors.
        target: Output of ``pefd_target`` (B, D).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ or an input is not two-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import pefd_match, pefd_target
        >>> embeddings = torch.tensor([[1.0, 0.0]])
        >>> pefd_match(embeddings, pefd_target(-embeddings))
        tensor(2.)
    """
    require_embeddings(student, "pefd")
    require_same_shape(student, target, "pefd", "add projectors to the teacher's width")
    return 1 - (unit_norm(student) * unit_norm(target)).sum(1).mean()
