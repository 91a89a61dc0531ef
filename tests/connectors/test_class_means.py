from __future__ import annotations

import torch

from tutelage.connectors import ClassMeans


def test_means_of_an_epoch_replace_those_before() -> None:
    bank = ClassMeans(classes=3)
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(6, 3, generator=generator), torch.tensor([0, 0, 1, -1, 0, -1])
    for part in (slice(0, 4), slice(4, 6)):
        bank.advance(torch.tensor(0))
        bank.add(logits[part], labels[part], temperature=2.0)
    torch.testing.assert_close(bank.means, torch.full((3, 3), 1 / 3))  # not before the end of the epoch
    bank.advance(torch.tensor(1))
    softened = (logits / 2).softmax(1)
    expected = torch.stack([softened[[0, 1, 4]].mean(0), softened[2], torch.full((3,), 1 / 3)])
    torch.testing.assert_close(bank.means, expected)


def test_class_without_samples_keeps_its_row() -> None:
    bank = ClassMeans(classes=2)
    for label in (0, 1):
        bank.add(torch.tensor([[3.0, 0.0]]), torch.tensor([label]), temperature=1.0)
        bank.advance(torch.tensor(label + 1))
    torch.testing.assert_close(bank.means, torch.tensor([[3.0, 0.0]]).softmax(1).expand(2, 2))
