from __future__ import annotations

import numpy as np
import pytest
import torch

from tutelage.distillation.cache.encoding import Dense, Encoding, Stored, TopK
from tutelage.errors import TutelageError

DRAW = torch.Generator().manual_seed(0)
LOGITS = 4 * torch.randn(32, 50, generator=DRAW) + 3
HALF = 2**-11
"""The largest relative error of rounding to 16 bits."""


def softmax(logits: torch.Tensor) -> np.ndarray:
    exponentials = np.exp(logits.double().numpy())
    return exponentials / exponentials.sum(1, keepdims=True)


@pytest.mark.parametrize("shape", [(), (10,), (7, 3), (2, 3, 4)], ids=str)
@pytest.mark.parametrize(("dtype", "error"), [("fp16", HALF), ("fp32", 0.0)])
def test_dense_gives_back_what_it_was_given(shape: tuple[int, ...], dtype: Stored, error: float) -> None:
    encoding = Dense(shape, dtype)
    target = torch.randn(5, *shape, generator=DRAW, requires_grad=True)
    records = encoding.encode(target)
    decoded = encoding.decode(records)
    assert records.shape == (5,)
    assert records.dtype == np.dtype(encoding.fields)
    assert decoded.dtype == torch.float32
    torch.testing.assert_close(decoded, target.detach(), rtol=error, atol=0)


@pytest.mark.parametrize("encoding", [Dense((50,), "fp32"), TopK(50, 5, "fp32")], ids=str)
def test_any_floating_point_type_is_taken(encoding: Encoding) -> None:
    expected = encoding.decode(encoding.encode(LOGITS.bfloat16().float()))
    for target in (LOGITS.bfloat16(), LOGITS.bfloat16().double()):
        assert torch.equal(encoding.decode(encoding.encode(target)), expected)


@pytest.mark.parametrize("encoding", [Dense((50,), "fp16"), TopK(50, 5, "fp16"), TopK(2**16, 3, "fp16")], ids=str)
def test_records_can_be_decoded_in_any_selection(encoding: Encoding) -> None:
    target = LOGITS if encoding != TopK(2**16, 3, "fp16") else torch.randn(32, 2**16, generator=DRAW)
    records, rows = encoding.encode(target), [30, 2, 2, 7]
    assert torch.equal(encoding.decode(records[rows]), encoding.decode(records)[rows])
    assert torch.equal(encoding.decode(records[::3]), encoding.decode(records)[::3])


@pytest.mark.parametrize(("k", "dtype"), [(1, "fp32"), (10, "fp32"), (49, "fp32"), (10, "fp16")])
def test_top_k_keeps_the_probabilities_of_k_classes_and_the_mass_of_the_others(k: int, dtype: Stored) -> None:
    encoding = TopK(50, k, dtype)
    stored, teacher = softmax(encoding.decode(encoding.encode(LOGITS))), softmax(LOGITS)
    # A logit that is off by d changes no probability by more than a factor of exp(2 d).
    tolerance = 1e-5 if dtype == "fp32" else 2.1 * HALF * LOGITS.abs().max().item()
    for kept, exact in zip(stored, teacher):
        largest, others = np.split(np.argsort(-exact), [k])
        np.testing.assert_allclose(kept[largest], exact[largest], rtol=tolerance)
        np.testing.assert_allclose(kept[others], exact[others].sum() / (50 - k), rtol=tolerance)


def test_the_mass_of_the_others_is_that_of_the_logits_as_they_were() -> None:
    target = torch.tensor([[9.0, 1.0, 2.0, -1e6]])
    assert TopK(4, 1, "fp16").encode(target)["rest"] == pytest.approx(np.log(np.exp(1) + np.exp(2)))


@pytest.mark.parametrize(("classes", "index"), [(2**15, np.int16), (2**15 + 1, np.int32)])
def test_indices_are_as_wide_as_the_classes_need(classes: int, index: type[np.integer]) -> None:
    encoding = TopK(classes, 2, "fp16")
    target = torch.zeros(1, classes)
    target[0, -1], target[0, 0] = 8, 4
    records = encoding.encode(target)
    assert records["indices"].dtype == index
    assert records["indices"].tolist() == [[classes - 1, 0]]
    torch.testing.assert_close(encoding.decode(records), target)


def test_sizes() -> None:
    assert Dense((10,), "fp16").record_bytes == 20
    assert Dense((3, 4), "fp32").record_bytes == 48
    assert TopK(1000, 10, "fp16").record_bytes == 4 + 10 * (2 + 2)
    assert TopK(50_000, 5, "fp16").record_bytes == 4 + 5 * (4 + 2)


@pytest.mark.parametrize("encoding", [Dense((3,), "fp16"), TopK(3, 2, "fp16")], ids=str)
def test_a_value_too_large_for_16_bits_is_refused(encoding: Encoding) -> None:
    assert encoding.decode(encoding.encode(torch.tensor([[65504.0, 1.0, -9.0]])))[0, 0] == 65504
    with pytest.raises(TutelageError, match="a target value of 65520 does not fit into 16 bits; set cache.dtype=fp32"):
        encoding.encode(torch.tensor([[1.0, 2.0, 3.0], [65520.0, 1.0, -9.0]]))


def test_32_bits_hold_what_16_do_not() -> None:
    target = torch.tensor([[-1e30, 1e20]])
    assert torch.equal(Dense((2,), "fp32").decode(Dense((2,), "fp32").encode(target)), target)


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_what_the_teacher_gives_as_infinite_stays_so(dtype: Stored) -> None:
    impossible = torch.tensor([[1.0, -torch.inf, 2.0, -torch.inf]])
    for encoding in (Dense((4,), dtype), TopK(4, 2, dtype), TopK(4, 3, dtype)):
        assert torch.equal(encoding.decode(encoding.encode(impossible)), impossible)
    broken = torch.tensor([[torch.nan, 1.0, torch.inf, -1.0]])
    assert torch.equal(Dense((4,), dtype).decode(Dense((4,), dtype).encode(broken)).nan_to_num(0), broken.nan_to_num(0))


@pytest.mark.parametrize("k", [10, 11])
def test_top_k_leaves_at_least_one_class_out(k: int) -> None:
    with pytest.raises(
        TutelageError, match=rf"cache\.top_k={k}: the data have only 10 classes; lower it, or remove it"
    ):
        TopK(10, k, "fp16")
