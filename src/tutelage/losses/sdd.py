"""SDD: a logit loss on the logits of image regions instead of the whole image.

Wei, Luo and Luo, "Scale Decoupled Distillation", CVPR 2024, https://arxiv.org/abs/2403.13512.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.cat_kd import class_map
from tutelage.losses.labels import labeled_mean, require_labels
from tutelage.losses.logits import require_temperature, softmax_cross_entropy
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import pool_to, require_same_shape
from tutelage.losses.target_class import target_class_loss

LogitLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
SIZES = (1, 2, 4)


@full_precision
def region_logits(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    sizes: Sequence[int] = SIZES,
    grid: int | None = None,
) -> Tensor:
    """Return the logits of the regions of an image: W·f + b of average-pooled windows of the last map.

    Each size n divides the map into n × n windows, as in adaptive pooling. Region 0 is the whole map, whose logits are
    the network's own. The official code first pools the map to 4 × 4 and the larger windows from those, which is
    different if the sides are not multiples of 4; ``grid=4`` reproduces that.

    Args:
        features: The last map (B, D, H, W) before global average pooling.
        weight: Weight (K, D) of the classifier.
        bias: Bias (K,) of the classifier, if it has one.
        sizes: Numbers of windows per side. The first must be 1. A side shorter than a size keeps its length.
        grid: Side of the grid to pool the map to before the windows. None pools windows from the map itself.

    Returns:
        The logits (B, R, K) of R regions.

    Raises:
        TutelageError: If the classifier does not read the channels of the map or ``sizes`` does not start with 1.

    Example:
        >>> import torch
        >>> from tutelage.losses import region_logits
        >>> region_logits(torch.randn(2, 64, 8, 8), torch.randn(10, 64)).shape
        torch.Size([2, 21, 10])
    """
    if not sizes or sizes[0] != 1:
        raise TutelageError(
            f"sdd: sizes {list(sizes)} must start with 1, the whole map; the usual value is {list(SIZES)}"
        )
    finest = max(sizes)
    if not any(finest % size for size in sizes) and not any(side % finest for side in features.shape[2:]):
        grid = grid or finest  # the mean of equal windows is that of their means, which are fewer
    base = pool_to(features, None if grid is None else (grid, grid))
    windows = [class_map(pool_to(base, (size, size)), weight, bias).flatten(2) for size in sizes]
    return torch.cat(windows, dim=2).transpose(1, 2)


@full_precision
def sdd_loss(student: Tensor, teacher: Tensor, labels: Tensor, *, loss: LogitLoss) -> Tensor:
    """Return a logit loss averaged over all regions of all images, with ambiguous regions counted twice.

    Σ_b Σ_r w_br · ℓ_br / (B·R), where w is 2 if the teacher is right about the region but not about the whole image or
    the other way round, and 1 otherwise. Unlabeled samples are left out.

    Args:
        student: The student's logits (B, R, K) of R regions, see ``region_logits``.
        teacher: The teacher's logits (B, R, K); region 0 is the whole image. They are detached, so cached logits serve
            as well.
        labels: Class indices (B,); −1 is unlabeled.
        loss: Function of the student's logits (N, K), the teacher's logits (N, K) and the labels (N,), averaged over
            the N rows. It is evaluated under ``torch.vmap``, one row at a time.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ or ``labels`` are not class indices.

    Example:
        >>> import torch
        >>> from tutelage.losses import kd_loss, sdd_loss
        >>> logits, labels = torch.randn(2, 21, 10), torch.tensor([3, 8])
        >>> sdd_loss(logits, logits, labels, loss=lambda student, teacher, _: kd_loss(student, teacher))
        tensor(0.)
    """
    require_same_shape(
        student, teacher, "sdd", "both networks need one logit per class and maps at least as large as the largest size"
    )
    require_labels(labels, student, "sdd")
    teacher = teacher.detach()
    regions = labels[:, None].expand(student.shape[:2])
    right = teacher.argmax(2) == regions
    weights = torch.where(right == right[:, :1], 1, 2)
    # A mean over one row is the loss of this row, so vmap turns any loss into losses per region.
    of_row = torch.vmap(lambda *row: loss(*(tensor[None] for tensor in row)))
    losses = of_row(student.flatten(0, 1), teacher.flatten(0, 1), regions.flatten())
    return labeled_mean((weights * losses.view_as(weights)).mean(1), labels)


@full_precision
def sdd_nkd_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, *, temperature: float = 1.0, gamma: float = 1.5
) -> Tensor:
    """Return the variant of NKD in the official code of SDD, whose second part keeps the label's class.

    −p_t[y] · log p_s[y] at temperature 1, plus γ · T² · Σ_k −p_t[k] · log p_s[k] at temperature T, averaged over the
    batch. NKD itself leaves the label's class out of the sum. Pass this function as ``loss`` to ``sdd_loss`` to
    reproduce the official values.

    Args:
        student: The student's logits (B, K).
        teacher: The teacher's logits (B, K).
        labels: Class indices (B,); −1 is unlabeled.
        temperature: The temperature T, positive.
        gamma: Weight γ of the second part.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ or ``temperature`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import sdd_nkd_loss
        >>> logits = torch.zeros(2, 10)
        >>> round(sdd_nkd_loss(logits, logits, torch.tensor([3, 8])).item(), 4)
        3.6841
    """
    require_temperature(temperature, "sdd nkd", usual=1.0)
    all_classes = softmax_cross_entropy(student / temperature, teacher.detach() / temperature)
    of_all_classes = temperature**2 * labeled_mean(all_classes, labels)
    return target_class_loss(student, teacher, labels) + gamma * of_all_classes
