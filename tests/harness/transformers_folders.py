"""Small networks with random weights, saved by transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch


def _labels(classes: Sequence[str] | int) -> dict[str, Any]:
    if isinstance(classes, int):
        return {"num_labels": classes}
    return {"id2label": dict(enumerate(classes)), "label2id": {name: place for place, name in enumerate(classes)}}


def save_vit(folder: Path, classes: Sequence[str] | int, side: int = 16) -> Any:
    """Save a vision transformer and its image processor; return the network."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=side,
        patch_size=4,
        initializer_range=0.5,
        **_labels(classes),
    )
    network = transformers.ViTForImageClassification(config).eval()
    network.save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": side, "width": side}).save_pretrained(folder)
    return network


def save_resnet(folder: Path, classes: Sequence[str] | int, **preprocessing: Any) -> Any:
    """Save a ResNet, and ConvNeXt's image processor with it, as Microsoft's are published; return the network."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic", **_labels(classes)
    )
    network = transformers.ResNetForImageClassification(config)
    network.train()(torch.rand(8, 3, 32, 32))  # running statistics of their own
    network.eval().save_pretrained(folder)
    transformers.ConvNextImageProcessor(**{"size": {"shortest_edge": 32}, **preprocessing}).save_pretrained(folder)
    return network
