from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tutelage.data import Normalization

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
IMAGES = torch.randint(0, 256, (4, 3, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_uint8_and_floats_give_the_same() -> None:
    normalization = Normalization(MEAN, STD)
    expected = (IMAGES.double() / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    for images in (IMAGES, IMAGES.float() / 255, IMAGES.double() / 255):
        got = normalization(images)
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, expected.float(), rtol=1e-5, atol=1e-5)


def test_resizes_only_where_the_size_differs() -> None:
    assert Normalization(MEAN, STD, (20, 30))(IMAGES).equal(Normalization(MEAN, STD)(IMAGES))
    small = F.interpolate(IMAGES.float(), (10, 12), mode="bilinear", antialias=True) / 255
    torch.testing.assert_close(Normalization(MEAN, STD, (10, 12))(IMAGES), Normalization(MEAN, STD)(small))


def test_has_no_state_and_keeps_layout_and_gradients() -> None:
    normalization = Normalization(MEAN, STD)
    assert not normalization.state_dict() and not list(normalization.parameters())
    channels_last = IMAGES.contiguous(memory_format=torch.channels_last)
    assert normalization(channels_last).is_contiguous(memory_format=torch.channels_last)
    images = (IMAGES.float() / 255).requires_grad_()
    normalization(images).sum().backward()
    assert images.grad is not None
    torch.testing.assert_close(images.grad[0, :, 0, 0], 1 / torch.tensor(STD))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert normalization(IMAGES).dtype == torch.float32


@pytest.mark.parametrize("value", [0, 255])
def test_extremes(value: int) -> None:
    images = torch.full((1, 3, 2, 2), value, dtype=torch.uint8)
    expected = (value / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(Normalization(MEAN, STD)(images)[0, :, 0, 0], expected)
