"""Weights spread over two processes learn what whole ones do, and take half the room."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor

from harness.cases import CASES, Case, batch, build, losses_of_one
from harness.marks import quickly
from harness.pool import Pool
from tutelage import Distiller, TutelageError, create_model

pytestmark = pytest.mark.skipif(
    not hasattr(torch.cpu.Stream, "record_event"), reason="this release of torch has no FSDP2 on CPUs"
)
STEPS = 2
QUICK = {"at_gradient", "cat_kd", "fitnets-hint", "kd+ofd"}
"""What differs: gradients of the image; a borrowed classifier; a part of the student, and connectors; all of both."""


def learn(distiller: nn.Module, parts: list[list[tuple[Tensor, Tensor]]]) -> None:
    """Takes a step for each list of micro-batches, whose gradients are averaged."""
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.05, momentum=0.9)
    for step in parts:
        for loss in losses_of_one(distiller, step):
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in module.named_parameters()}


def learnt_by_one_rank(rank: int, case: Case, smallest: int) -> dict[str, Tensor]:
    distiller = build(case).train()
    distiller.shard(smallest=smallest)
    learn(distiller, [[batch(4, seed=10 * step + rank)] for step in range(STEPS)])
    return {name: v.full_tensor() if isinstance(v, DTensor) else v for name, v in weights(distiller).items()}


@pytest.mark.parametrize("smallest", quickly([1, 10_000], {"1"}))
@pytest.mark.parametrize("case", quickly(CASES, QUICK), ids=str)
def test_spread_weights_learn_as_whole_ones(case: Case, smallest: int, pool: Pool) -> None:
    distiller = build(case).train()
    before = {name: value.clone() for name, value in weights(distiller).items()}
    learn(distiller, [[batch(4, seed=10 * step + rank) for rank in range(2)] for step in range(STEPS)])
    expected = weights(distiller)
    assert any(not torch.equal(before[name], expected[name]) for name in expected)
    for found in pool.run(learnt_by_one_rank, case, smallest):
        assert found.keys() == expected.keys()
        for name, value in found.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)


def transformers() -> Distiller:
    torch.manual_seed(0)
    student, teacher = create_model("timm/test_vit", 5), create_model("timm/test_vit2", 5)
    return Distiller(student, teacher, "kd", input_size=160).eval()


def held(distiller: Distiller) -> int:
    """Counts the numbers that this process holds of student and teacher."""
    assert distiller.teacher is not None
    parameters = {id(value): value for module in (distiller, distiller.teacher) for value in module.parameters()}
    return sum((value.to_local() if isinstance(value, DTensor) else value).numel() for value in parameters.values())


def gathered_by_one_rank(rank: int) -> tuple[int, int, dict[str, Tensor], Tensor]:
    distiller = transformers()
    whole = held(distiller)
    distiller.shard(smallest=1)
    part = held(distiller)
    images, labels = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 3])
    logits = distiller(images, labels).logits
    assert logits is not None
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return whole, part, get_model_state_dict(distiller.student, options=options), logits.detach()


def test_each_process_holds_its_part_and_all_can_be_gathered(pool: Pool) -> None:
    alone = transformers()
    (whole, part, state, logits), (_, other, _, _) = pool.run(gathered_by_one_rank)
    assert whole == held(alone)
    assert abs(part / whole - 0.5) < 0.01 and part + other == pytest.approx(whole, rel=0.01)
    assert state.keys() == alone.student.state_dict().keys()
    student = create_model("timm/test_vit", 5).eval()
    student.load_state_dict(state)
    images = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(student(images), logits)
    torch.testing.assert_close(alone.student(images), logits)


class Owner(nn.Module):
    """A network that holds two parameters itself, one below a tap and one above."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(3, 1, 1)), nn.Parameter(torch.zeros(2))
        self.body, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(images * self.scale).mean((2, 3))) + self.shift
        return out


def stage_of_one_rank(rank: int) -> tuple[bool, bool, str]:
    torch.manual_seed(0)
    method = "fitnets"
    distiller = Distiller(Owner(), Owner(), method, input_size=8, epochs=4)
    distiller.shard(smallest=1)
    refused = ""
    try:
        distiller.enter(1)
    except TutelageError as error:
        refused = str(error)
    return isinstance(distiller.student.scale, DTensor), isinstance(distiller.student.shift, DTensor), refused


def test_what_a_stage_does_not_run_stays_and_the_next_stage_is_refused(pool: Pool) -> None:
    for reached, unreached, refused in pool.run(stage_of_one_rank):
        assert reached and not unreached
        assert "stage 'kd' cannot follow here" in refused
