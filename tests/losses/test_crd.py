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


def test_state_continues_where_it_was_saved() -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [
        (
            *torch.nn.functional.normalize(torch.randn(2, 3, 4, generator=generator), dim=2),
            torch.tensor([5, 1, 3]),
            torch.randint(6, (3, 5), generator=generator),
        )
        for _ in range(2)
    ]
    memory = CRDMemory(6, 4)
    start = memory.state_dict()["student_bank"].clone()
    memory(*batches[0])
    twin = copy.deepcopy(memory)
    resumed = CRDMemory(6, 4)
    resumed(*batches[1])  # what it would have learned from this is dropped
    resumed.load_state_dict(memory.state_dict())
    expected = memory(*batches[1])
    assert not memory.student_bank.equal(start)
    assert resumed(*batches[1]).equal(expected)
    assert twin(*batches[1]).equal(expected)


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
    generator = torch.Generator().manual_seed(0)
    exact = CRDContrast(labels, 200)(index, generator)
    assert exact.shape == (8, 201) and exact[:, 0].equal(index)
    relaxed = CRDContrast(labels, 200, relaxed=True)(index, generator)
    for contrast in (exact, relaxed):
        for sample, row in enumerate(contrast.tolist()):
            alike = {sample} if labels[sample] < 0 else set((labels == labels[sample]).nonzero().flatten().tolist())
            assert set(row[1:]) == set(range(8)) - alike
            assert row[0] in alike
    drawn = torch.stack([CRDContrast(labels, 1, relaxed=True)(index, generator)[:, 0] for _ in range(50)])
    assert set(drawn[:, 0].tolist()) == {0, 4, 5}


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
