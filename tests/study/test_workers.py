"""Which GPU each worker of a study uses, on simulated machines, and what it makes of a bug in a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.runs import SMALL
from tutelage.config import DistillSettings, load
from tutelage.study.workers import train_cell, visible_gpus


@pytest.mark.parametrize(
    ("listed", "count", "expected"),
    [
        (None, 2, ["0", "1"]),
        ("2,3", 2, ["2", "3"]),
        ("3, 1,-1,0", 2, ["3", "1"]),
        ("GPU-8932f937,MIG-4b6f41d2", 2, ["GPU-8932f937", "MIG-4b6f41d2"]),
        ("", 0, []),
        ("-1", 0, []),
    ],
)
def test_gpus_are_named_as_the_process_was_given_them(
    listed: str | None, count: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_gpus() == expected


BROKEN = """
import torch

class Broken(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 10)

    def forward(self, image):
        if self.training:
            fail()
        return self.head(image.mean((2, 3)))

def fail():
    raise ZeroDivisionError("a bug in the network")
"""


def test_a_bug_in_one_run_is_reported_with_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_networks.py").write_text(BROKEN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    ours = {"student": "broken_networks:Broken", "method": "none", "epochs": 1, "out": str(tmp_path / "run")}
    error = train_cell(load(DistillSettings, SMALL, ours))
    assert error == f"ZeroDivisionError: a bug in the network. The traceback is in {tmp_path / 'run.log'}"
    assert "in fail" in (tmp_path / "run.log").read_text(encoding="utf-8")
