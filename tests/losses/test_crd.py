"""What is special about CRD: its memory, what is drawn, bounded gathers."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from losses.golden.case import FOLDER, GoldenCase, read_case
from tutelage.connectors import CRDContrast, CRDEmbedding, CRDMemory
from tutelage.errors import TutelageError
from tutelage.losses import crd, crd_loss, crd_similarities


def embedding(case: GoldenCase, name: str) -> CRDEmbedding:
    weight, bias = case.inputs[f"embed_{name}.weight"], case.inputs[f"embed_{name}.bias"]
    module = CRDEmbedding(weight.shape[1], weight.shape[0]).double()
    module.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
    return module


@pytest.mark.parametrize("path", sorted(FOLDER.glob("crd.*")), ids=lambda path: path.stem)
def test_memory_is_the_official_one(path: Path) -> None:
    case = read_case(path)
    options = {"temperature": case.params["T"], "momentum": case.params["momentum"]}
    memory = CRDMemory(case.params["n_data"], case.params["dim"], **options).double()
    banks = {f"{name}_bank": case.inputs[f"bank_{name}"] for name in ("student", "teacher")}
    memory.load_state_dict(banks, strict=False)
    of_student, of_teacher = embedding(case, "student"), embedding(case, "teacher")
    for step in (1, 2):
        student, teacher = of_student(case.inputs[f"student.{step}"]), of_teacher(case.inputs[f"teacher.{step}"])
        loss = memory(student, teacher, case.inputs[f"index.{step}"], case.inputs[f"contrast.{step}"])
        loss.backward()
        torch.testing.assert_close(loss, case.losses[f"loss.step{step}"], rtol=1e-9, atol=0)
        state = memory.state_dict()
        for name in ("student", "teacher"):
            torch.testing.assert_close(state[f"{name}_bank"], case.inputs[f"bank_{name}_after.{step}"])
    torch.testing.assert_close(
        memory.log_z.exp(), torch.stack([case.inputs["Z_student"], case.inputs["Z_teacher"]]), rtol=1e-9, atol=0
    )
    torch.testing.assert_close(of_teacher.weight.grad, case.gradients["embed_teacher.weight"], rtol=1e-6, atol=1e-9)


def test_start_of_the_banks_has_unit_vectors_on_average() -> None:
    bank = CRDMemory(2000, 32).student_bank
    assert bank.square().sum(1).mean().item() == pytest.approx(1, rel=0.02)


def unit(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def test_only_train_mode_moves_the_state() -> None:
    generator = torch.Generator().manual_seed(0)
    memory, contrast = CRDMemory(6, 4), CRDContrast(torch.tensor([0, 0, 1, 1, 2, -1]), 5)
    index, (student, teacher) = torch.tensor([5, 1, 3]), unit(generator, 2, 3, 4)
    start = {**copy.deepcopy(memory.state_dict()), **copy.deepcopy(contrast.state_dict())}
    first = memory.eval()(student, teacher, index, contrast.eval()(index))
    assert memory.train()(student, teacher, index, contrast.train()(index)).equal(first)
    after = {**memory.state_dict(), **contrast.state_dict()}
    assert {name for name in start if not after[name].equal(start[name])} == start.keys() - {"seed"}
    others = torch.tensor([0, 2, 4])
    assert after["student_bank"][others].equal(start["student_bank"][others])


def test_a_step_can_be_differentiated_though_the_rows_have_moved() -> None:
    generator = torch.Generator().manual_seed(0)
    memory, index = CRDMemory(6, 4).double(), torch.tensor([5, 1, 3])
    contrast = torch.randint(6, (3, 5), generator=generator)
    student, teacher = (value.double().requires_grad_() for value in unit(generator, 2, 3, 4))
    rows = memory.student_bank.clone(), memory.teacher_bank.clone()
    loss = memory(student, teacher, index, contrast)
    assert not memory.student_bank.equal(rows[0])
    naive = (
        (student[:, None] * rows[1][contrast]).sum(2),
        (teacher[:, None] * rows[0][contrast]).sum(2),
    )
    expected = crd_loss(*naive, memory.log_z, n_data=6)
    torch.testing.assert_close(loss, expected)
    for found, value in zip(*(torch.autograd.grad(3 * each, (student, teacher)) for each in (loss, expected))):
        torch.testing.assert_close(found, value)


def test_blocks_of_products_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    embeddings, bank = (
        torch.randn(5, 3, generator=generator, requires_grad=True),
        torch.randn(7, 3, generator=generator),
    )
    contrast = torch.randint(7, (5, 4), generator=generator)
    expected = (bank[contrast] @ embeddings[:, :, None]).squeeze(2)
    slopes = torch.randn(5, 4, generator=generator)
    (gradient,) = torch.autograd.grad((expected * slopes).sum(), embeddings)
    monkeypatch.setattr(crd, "BLOCK", 2 * 7)  # two samples, two, one
    similarities = crd_similarities(embeddings, bank, contrast)
    torch.testing.assert_close(similarities, expected)
    torch.testing.assert_close(torch.autograd.grad((similarities * slopes).sum(), embeddings)[0], gradient)


def test_contrasts_are_of_the_right_classes() -> None:
    labels = torch.tensor([2, 0, 1, 0, 2, 2, -1, -1])
    index = torch.arange(8)
    exact = CRDContrast(labels, 200)(index)
    assert exact.shape == (8, 201) and exact[:, 0].equal(index)
    relaxed = CRDContrast(labels, 200, relaxed=True)(index)
    for contrast in (exact, relaxed):
        for sample, row in enumerate(contrast.tolist()):
            alike = {sample} if labels[sample] < 0 else set((labels == labels[sample]).nonzero().flatten().tolist())
            assert set(row[1:]) == set(range(8)) - alike
            assert row[0] in alike
    drawn = torch.stack([CRDContrast(labels, 1, relaxed=True)(index)[:, 0] for _ in range(50)])
    assert set(drawn[:, 0].tolist()) == {0, 4, 5}


def test_negatives_are_uniform_and_new_at_each_step() -> None:
    draw = CRDContrast(torch.arange(1000) % 10, 9000)
    first, second = (draw(torch.tensor([3]))[0, 1:] for _ in range(2))
    assert (first == second).float().mean() < 0.01
    counts = torch.cat([first, second]).bincount(minlength=1000).view(100, 10)
    assert counts[:, 3].sum() == 0
    others = counts[:, [0, 1, 2, 4, 5, 6, 7, 8, 9]].double()
    assert 0.8 < others.var() / others.mean() < 1.2  # Poisson


def test_what_is_drawn_for_a_sample_does_not_depend_on_the_batch() -> None:
    labels, index = torch.arange(50) % 5, torch.tensor([7, 30, 2, 11])
    draw = CRDContrast(labels, 20, relaxed=True)
    alone = [copy.deepcopy(draw)(each) for each in index.split(1)]
    assert draw(index).equal(torch.cat(alone))


def extreme(sign: float) -> Tensor:
    return torch.tensor([[sign * 60.0, -sign * 60.0, 0.0]], requires_grad=True)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_extreme_similarities_stay_finite(sign: float) -> None:
    student, teacher = extreme(sign), extreme(-sign)
    crd_loss(student, teacher, torch.zeros(2), n_data=50, temperature=0.07).backward()
    for side in (student, teacher):
        assert side.grad is not None and side.grad.isfinite().all()


def test_what_cannot_be_contrasted_is_refused() -> None:
    with pytest.raises(TutelageError, match="all 3 training samples have the label 4"):
        CRDContrast(torch.tensor([4, 4, 4]))
    with pytest.raises(TutelageError, match="hold no negatives"):
        crd_loss(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(2), n_data=5)
    with pytest.raises(TutelageError, match="temperature 0"):
        crd_loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2), n_data=5, temperature=0)
    with pytest.raises(TutelageError, match="momentum = 1.0"):
        CRDMemory(5, momentum=1.0)
