"""Batch normalization by batch statistics in a network that is otherwise in eval mode."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tutelage.taps.sharing import sharing_clone


def with_batch_statistics(model: nn.Module) -> nn.Module:
    """Return a copy that shares the parameters of ``model`` and normalizes by each batch's own mean and variance.

    The copy is in eval mode, so dropout is off. Its batch normalizations neither read nor write buffers of ``model``.

    Args:
        model: Any network. It does not change.

    Returns:
        The copy.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from tutelage.taps import with_batch_statistics
        >>> norm = nn.BatchNorm1d(1)
        >>> with_batch_statistics(norm)(torch.tensor([[2.0], [4.0]])).detach().round()
        tensor([[-1.],
                [ 1.]])
        >>> norm.running_mean
        tensor([0.])
    """
    network = sharing_clone(model).eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            # Without running statistics, batch normalization in eval mode uses those of the batch. The dictionary of
            # buffers is shared with the model, so it is replaced, not changed.
            absent = dict.fromkeys(("running_mean", "running_var", "num_batches_tracked"))
            module._buffers = {**module._buffers, **absent}
            module.track_running_stats = False
    return network
