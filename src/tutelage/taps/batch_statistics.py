"""Batch normalisation by the statistics of the batch, in a network that is otherwise in eval mode."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tutelage.taps.sharing import sharing_clone


def with_batch_statistics(model: nn.Module) -> nn.Module:
    """Returns a copy that shares ``model``'s parameters and normalises by each batch's own mean and variance.

    It is in eval mode: dropout is off, and no buffer of ``model`` is read or written by a normalisation.
    """
    network = sharing_clone(model).eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            # Without running statistics a normalisation in eval mode takes those of the batch. The dictionary of
            # buffers is the model's own, and must stay as it is.
            absent = dict.fromkeys(("running_mean", "running_var", "num_batches_tracked"))
            module._buffers = {**module._buffers, **absent}
            module.track_running_stats = False
    return network
