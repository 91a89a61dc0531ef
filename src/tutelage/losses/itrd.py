"""Information-theoretic (ITRD) losses: correlation of each feature over the batch, and mutual information of samples.

Miles, López Rodríguez and Mikolajczyk, "Information Theoretic Representation Distillation", BMVC 2022,
https://arxiv.org/abs/2112.00459.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_embeddings, require_same_batch, require_same_shape, unit_norm


def itrd_loss(
    student: Tensor, teacher: Tensor, *, lambda_corr: float = 2.0, lambda_mutual: float = 0.05, alpha_it: float = 1.5
) -> Tensor:
    """Return the weighted sum of ``itrd_correlation_loss`` and ``itrd_mutual_loss``.

    The authors map the student's embeddings to the teacher's width with a linear layer. If both widths are equal, they
    do so for the correlation alone; use the two functions then. The defaults are those of their code. Their command for
    WRN-40-2 → WRN-16-2 sets 2, 1 and 1.01.

    Args:
        student: The student's embeddings (B, D) at the teacher's width.
        teacher: The teacher's embeddings (B, D).
        lambda_corr: Weight of the correlation.
        lambda_mutual: Weight of the mutual information.
        alpha_it: α of the correlation, see ``itrd_correlation_loss``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ, an input is not two-dimensional or ``alpha_it`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import itrd_loss
        >>> itrd_loss(torch.randn(8, 16), torch.randn(8, 16)).shape
        torch.Size([])
    """
    target = itrd_target(teacher)
    correlation = itrd_correlation_loss(student, target, alpha_it=alpha_it)
    return lambda_corr * correlation + lambda_mutual * itrd_mutual_loss(student, target)


@full_precision
def itrd_target(teacher: Tensor) -> Tensor:
    """Return the teacher's embeddings, detached.

    Both losses depend on the batch, so the embeddings are what can be cached.

    Args:
        teacher: The teacher's embeddings (B, D).

    Returns:
        The target (B, D).

    Example:
        >>> import torch
        >>> from tutelage.losses import itrd_target
        >>> itrd_target(torch.randn(2, 16, requires_grad=True)).requires_grad
        False
    """
    return teacher.detach()


@full_precision
def itrd_correlation_loss(student: Tensor, target: Tensor, *, alpha_it: float = 1.5) -> Tensor:
    """Return the logarithm of how far each feature's correlation between student and teacher is from 1.

    log₂ Σ_d abs(c_d − 1)^2α, where c_d is the correlation of feature d over the batch. As in the authors' code,
    standard deviations are unbiased and c is divided by B, so the same features have c = (B − 1) / B. Features that do
    not vary have c = 0.

    Args:
        student: The student's embeddings (B, D) at the teacher's width.
        target: Output of ``itrd_target`` (B, D).
        alpha_it: α, positive.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ, an input is not two-dimensional or ``alpha_it`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import itrd_correlation_loss
        >>> embeddings = torch.tensor([[0.0], [1.0]])
        >>> itrd_correlation_loss(embeddings, -embeddings, alpha_it=0.5)  # log₂(1 + 1/2)
        tensor(0.5850)
    """
    require_embeddings(student, "itrd")
    require_same_shape(student, target, "itrd", "map the student's embeddings to the teacher's width")
    if alpha_it <= 0:
        raise TutelageError(f"itrd: alpha_it = {alpha_it} must be positive; the usual value is 1.5")
    batch = len(student)
    correlations = (_directions(student) * _directions(target)).sum(1) * ((batch - 1) / batch)
    return (1 - correlations).pow(2 * alpha_it).sum().log2()


@full_precision
def itrd_mutual_loss(student: Tensor, target: Tensor) -> Tensor:
    """Return the difference of the entropies of the student's similarities and of those shared with the teacher.

    Σ_ij G_s² − (G_s ∘ G_t)², where G is the matrix of cosines between the samples of a batch and both G_s and G_s ∘ G_t
    are divided by their traces. Widths may differ.

    Args:
        student: The student's embeddings (B, D_s).
        target: Output of ``itrd_target`` (B, D_t).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the batch sizes differ or an input is not two-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import itrd_mutual_loss
        >>> itrd_mutual_loss(torch.tensor([[1.0], [1.0]]), torch.eye(2))
        tensor(0.5000)
    """
    require_embeddings(student, "itrd")
    require_embeddings(target, "itrd")
    require_same_batch(student, target, "itrd")
    ours, theirs = _cosines(student), _cosines(target)
    return (_of_trace_one(ours).square() - _of_trace_one(ours * theirs).square()).sum()


def _directions(embeddings: Tensor) -> Tensor:
    """Return the centered features (D, B) as unit vectors over the batch; those that do not vary are 0."""
    features = embeddings.mT
    centered = features - features.mean(1, keepdim=True)
    largest = torch.linalg.vector_norm(features.detach(), dim=1, keepdim=True)
    lengths = torch.linalg.vector_norm(centered.detach(), dim=1, keepdim=True)
    rounding = 4 * torch.finfo(features.dtype).eps * largest
    return unit_norm(centered.masked_fill(lengths <= rounding, 0))


def _cosines(embeddings: Tensor) -> Tensor:
    directions = unit_norm(embeddings)
    return directions @ directions.mT


def _of_trace_one(matrix: Tensor) -> Tensor:
    """Divide a matrix by its trace, the number of samples that are not all zeros."""
    return matrix / matrix.trace().clamp_min(0.5)
