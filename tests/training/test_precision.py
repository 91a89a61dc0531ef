"""How a precision is chosen: by timing steps, within a limit, without leaving a trace."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from harness.cases import BY_NAME, batch, build
from tutelage.training.engine import build_engine
from tutelage.training.tuning.precision import choose_precision, default_precision, has_bf16
from tutelage.training.tuning.trial import StepTrial, untouched


def test_weights_buffers_gradients_and_random_state_stay() -> None:
    distiller = build(BY_NAME["kd"]).train()
    before = {name: value.clone() for name, value in distiller.state_dict().items()}
    drawn = torch.get_rng_state()
    trial = StepTrial(distiller, *batch(4))
    with untouched(distiller):
        assert choose_precision(trial.step, limit=100).name in ("fp32", "bf16")
        assert trial.student_step("fp32") > 0
    assert all(torch.equal(value, before[name]) for name, value in distiller.state_dict().items())
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in distiller.parameters())


def steps(**seconds: list[float]) -> tuple[list[str], Callable[[str], float]]:
    """Return the precisions that were tried, and what stands for a step: it takes the next of these times."""
    tried: list[str] = []
    left = {precision: iter(times) for precision, times in seconds.items()}

    def step(precision: str) -> float:
        tried.append(precision)
        return next(left[precision])

    return tried, step


@pytest.mark.parametrize(("fp32", "bf16", "expected"), [(1.0, 0.5, "bf16"), (1.0, 0.97, "fp32"), (1.0, 1.2, "fp32")])
def test_bf16_has_to_be_clearly_faster(fp32: float, bf16: float, expected: str) -> None:
    _, step = steps(fp32=[2.0, fp32, fp32, fp32], bf16=[2.0, bf16, bf16, bf16])
    chosen = choose_precision(step, limit=100)
    assert chosen.name == expected
    assert chosen.seconds == min(fp32, bf16 if expected == "bf16" else fp32)


def test_one_step_that_is_far_slower_ends_the_trial() -> None:
    tried, step = steps(fp32=[1.0, 0.9], bf16=[25.0])
    chosen = choose_precision(step, limit=100)
    assert (chosen.name, chosen.seconds) == ("fp32", 0.9)
    assert tried == ["fp32", "fp32", "bf16"]
    assert "far slower" in chosen.why


@pytest.mark.parametrize(("limit", "count"), [(4, 4), (5.9, 4), (6.1, 6), (100, 8)])
def test_the_limit_of_a_trial_bounds_its_steps(limit: float, count: int) -> None:
    tried, step = steps(fp32=[1.0] * 4, bf16=[1.0] * 4)
    choose_precision(step, limit)
    assert len(tried) == count


def test_a_cpu_gets_fp32_without_a_trial_and_bf16_is_not_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert default_precision(cpu) == "fp32"
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert not has_bf16(cpu)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "tf32"])
def test_an_engine_chooses_the_kernels(precision: str) -> None:
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = False, precision != "tf32"
    engine = build_engine(precision, "cpu")
    assert torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.allow_tf32 == torch.backends.cuda.matmul.allow_tf32 == (precision == "tf32")
    assert engine.mixed_precision == ("bf16" if precision == "bf16" else "no")
