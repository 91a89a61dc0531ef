"""What is special about FT: a paraphraser that learns, and what the two forms leave out."""

from __future__ import annotations

import pytest
import torch

from tutelage.connectors import Paraphraser, translator
from tutelage.errors import TutelageError
from tutelage.losses import ft_loss, ft_match, ft_paraphraser_loss, ft_target


def test_forms_ignore_scale_and_one_of_them_channels() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 3, 4, 5, 5, generator=generator, dtype=torch.float64)
    for form in ("paper", "repdistiller"):
        torch.testing.assert_close(ft_loss(7 * student, teacher, form=form), ft_loss(student, teacher, form=form))
    assert ft_loss(student.flip(1), student, form="repdistiller").item() == pytest.approx(0, abs=1e-12)
    assert ft_loss(student.flip(1), student).item() > 1e-3


def test_paraphraser_learns_to_reconstruct() -> None:
    torch.manual_seed(0)
    paraphraser, features = Paraphraser(4), torch.randn(8, 4, 4, 4)
    optimizer = torch.optim.SGD(paraphraser.parameters(), lr=0.1)
    history = []
    for _ in range(20):
        loss = ft_paraphraser_loss(paraphraser.reconstruct(features), features)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < history[0]
    assert paraphraser(features).shape == (8, 2, 4, 4)


def test_what_does_not_fit_is_refused() -> None:
    factor = torch.zeros(2, 4, 3, 3)
    with pytest.raises(TutelageError, match="unknown ft form 'code'"):
        ft_target(factor, form="code")  # type: ignore[arg-type]
    with pytest.raises(TutelageError, match=r"ft factor: .*\(2, 27\).*\(2, 36\).*translate to"):
        ft_match(factor[:, :3], ft_target(factor))
    with pytest.raises(TutelageError, match="k = 0.1 of 4 channels leaves none"):
        Paraphraser(4, k=0.1)


def test_translator_has_the_layers_of_either_code() -> None:
    kinds = [type(layer).__name__ for layer in translator(4, 6, norm=True)]
    assert kinds == 3 * ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert [type(layer).__name__ for layer in translator(4, 6)] == 3 * ["Conv2d", "LeakyReLU"]
