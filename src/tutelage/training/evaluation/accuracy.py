"""Evaluate a network on a split, on any number of processes and in the precision of the run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.console import Advance
from tutelage.data import EvalLoader, Split

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Evaluation:
    """Results of one network on one split; accuracies in percent, None without labels."""

    top1: float | None
    top5: float | None
    loss: float | None
    balanced: float | None
    """Mean accuracy over classes."""
    majority: float | None
    """Percentage of the most frequent class, which is the top-1 accuracy of always predicting it."""
    agreement: float | None
    """Percentage of samples with the same prediction as the reference."""
    predictions: Tensor
    """Classes predicted by this process, in the order of its loader."""

    @property
    def score(self) -> float | None:
        """The value for comparing networks: accuracy, or agreement if there are no labels."""
        return self.top1 if self.top1 is not None else self.agreement


@torch.no_grad()
def evaluate_network(
    network: Callable[[Tensor], Tensor],
    split: Split,
    batch_size: int,
    engine: Accelerator,
    reference: Tensor | None = None,
    advance: Advance = lambda count: None,
) -> Evaluation:
    """Evaluate ``network`` on ``split`` in the precision of ``engine``.

    Args:
        network: Function or module in eval mode that takes unnormalized images.
        split: The images; each is evaluated once.
        batch_size: Images per batch and process.
        engine: The accelerator of the run.
        reference: Predictions of an earlier call on the same split, e.g. for the teacher.
        advance: Called after each batch with the number of images it covers over all processes.
    """
    from accelerate.utils import gather_object

    loader = EvalLoader(split, batch_size, engine.process_index, engine.num_processes)
    sums: list[Tensor] = []
    predictions: list[Tensor] = []
    truths: list[Tensor] = []
    for batch in loader:
        images = batch.images.to(engine.device).contiguous(memory_format=torch.channels_last)
        labels = batch.labels.to(engine.device)
        with engine.autocast():
            logits = network(images).float()
        best = logits.topk(min(5, logits.shape[1])).indices
        hits = best == labels[:, None]
        loss = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
        sums.append(torch.stack([hits[:, 0].sum(), hits.any(1).sum(), loss, (labels >= 0).sum()]))
        predictions.append(best[:, 0].cpu())
        truths.append(batch.labels.cpu())
        advance(len(labels) * engine.num_processes)
    none = torch.empty(0, dtype=torch.int64)
    predicted, truth = torch.cat([none, *predictions]), torch.cat([none, *truths])
    classes = int(split.labels.max()) + 1 if len(split) else 0
    by_class = [truth[rows].bincount(minlength=classes).tolist() for rows in (predicted == truth, truth >= 0)]
    same = int((predicted == reference).sum()) if reference is not None else 0
    # Batch sums are added on the host, because float32 would round and MPS has no float64.
    own = [math.fsum(values) for values in zip(*torch.stack(sums).tolist())] if sums else [0.0] * 4
    everyone = gather_object([[*own, same, len(predicted), *by_class[0], *by_class[1]]])
    top1, top5, loss_sum, labelled, agreeing, seen, *each = (math.fsum(values) for values in zip(*everyone))
    hits_of, count = np.array(each).reshape(2, classes)
    return Evaluation(
        top1=100 * top1 / labelled if labelled else None,
        top5=100 * top5 / labelled if labelled else None,
        loss=loss_sum / labelled if labelled else None,
        balanced=100 * float((hits_of[count > 0] / count[count > 0]).mean()) if labelled else None,
        majority=100 * float(count.max()) / labelled if labelled else None,
        agreement=100 * agreeing / seen if reference is not None else None,
        predictions=predicted,
    )
