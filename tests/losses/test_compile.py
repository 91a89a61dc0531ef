"""The losses sit inside a compiled training step without a graph break."""

from __future__ import annotations

import pytest
import torch

from losses.cases import CASES, Case

# one case a family: the first of each
FIRST = {case.name.partition("(")[0]: case for case in reversed(CASES)}


@pytest.mark.parametrize("case", FIRST.values(), ids=FIRST)
def test_whole_graph(case: Case) -> None:
    students, teachers = case.inputs()
    tensors = (*students, *teachers, *case.labels)
    torch.compiler.reset()  # the number of losses that one function may be compiled for is limited
    compiled = torch.compile(lambda *inputs: case.loss(*inputs), backend="eager", fullgraph=True)
    assert compiled(*tensors).item() == pytest.approx(case.loss(*tensors).item())
