"""The losses sit inside a compiled training step without a graph break."""

from __future__ import annotations

import pytest
import torch

from harness.marks import quickly
from losses.cases import CASES

# one case a family: the first of each
FIRST = {case.name.partition("(")[0]: case for case in reversed(CASES)}


QUICK = {"kd", "at", "fsp", "nst", "ofd", "dkd", "dist", "gkl", "nkd", "rkd", "reviewkd", "sdd", "sp", "vid"}


@pytest.mark.parametrize("name", quickly(FIRST, QUICK))
def test_whole_graph(name: str) -> None:
    case = FIRST[name]
    students, teachers = case.inputs()
    tensors = (*students, *teachers, *case.labels)
    torch.compiler.reset()  # the number of losses that one function may be compiled for is limited
    compiled = torch.compile(lambda *inputs: case.loss(*inputs), backend="eager", fullgraph=True)
    assert compiled(*tensors).item() == pytest.approx(case.loss(*tensors).item())
