"""Encode a teacher's targets as records of a fixed size, and decode them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tutelage.errors import TutelageError

Stored = Literal["fp16", "fp32"]
Fields = list[tuple[str, str, tuple[int, ...]]]
StructuredArray = npt.NDArray[Any]
"""A NumPy array of a structured dtype, one record per element."""

_NUMPY = {"fp16": "<f2", "fp32": "<f4"}
_TORCH = {"fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class Dense:
    """All values of a target, rounded to 16 or 32 bits."""

    shape: tuple[int, ...]
    """Shape of one sample's target."""
    dtype: Stored

    @property
    def fields(self) -> Fields:
        """The fields of a record's structured dtype."""
        return [("values", _NUMPY[self.dtype], self.shape)]

    @property
    def record_bytes(self) -> int:
        return np.dtype(self.fields).itemsize

    def encode(self, target: Tensor) -> StructuredArray:
        """Return (B,) records of (B, *shape) values on any device; infinite values and NaN are kept.

        Raises:
            TutelageError: If a finite value is too large for 16 bits.
        """
        records = np.empty(len(target), self.fields)
        records["values"] = _rounded(target, self.dtype)
        return records

    def decode(self, records: StructuredArray) -> Tensor:
        """Return the (B, *shape) values of (B,) records, in float32 on the CPU."""
        return _floats(records["values"])


@dataclass(frozen=True)
class TopK:
    """The ``k`` largest logits z of ``classes``, and ``rest`` = log Σ exp z over the other classes.

    Decoding sets the logit of each other class to rest − log(classes − k). Softmax at temperature 1 thus returns the
    teacher's k probabilities and the sum of the others, within the stored precision; at other temperatures it
    approximates them.

    Raises:
        TutelageError: If ``k`` is not smaller than ``classes``.
    """

    classes: int
    k: int
    dtype: Stored

    def __post_init__(self) -> None:
        if self.k >= self.classes:
            raise TutelageError(
                f"cache.top_k={self.k}: the data have only {self.classes} classes; lower it, or remove it to store all "
                f"logits"
            )

    @property
    def fields(self) -> Fields:
        """The fields of a record's structured dtype."""
        index = "<i2" if self.classes <= 2**15 else "<i4"
        return [("rest", "<f4", ()), ("indices", index, (self.k,)), ("values", _NUMPY[self.dtype], (self.k,))]

    @property
    def record_bytes(self) -> int:
        return np.dtype(self.fields).itemsize

    def encode(self, target: Tensor) -> StructuredArray:
        """Return (B,) records of (B, classes) logits on any device.

        Raises:
            TutelageError: If one of the ``k`` largest logits is finite and too large for 16 bits.
        """
        logits = target.detach().float()
        values, indices = logits.topk(self.k, dim=1)
        records = np.empty(len(target), self.fields)
        records["values"] = _rounded(values, self.dtype)
        records["indices"] = indices.cpu().numpy()
        records["rest"] = logits.scatter(1, indices, -math.inf).logsumexp(1).cpu().numpy()
        return records

    def decode(self, records: StructuredArray) -> Tensor:
        """Return the (B, classes) logits of (B,) records, in float32 on the CPU."""
        share = _floats(records["rest"]) - math.log(self.classes - self.k)
        indices = torch.from_numpy(records["indices"].astype(np.int64))
        return share.unsqueeze(1).repeat(1, self.classes).scatter_(1, indices, _floats(records["values"]))


Encoding = Dense | TopK


def _rounded(values: Tensor, dtype: Stored) -> npt.NDArray[Any]:
    rounded = values.detach().to(_TORCH[dtype])
    lost = rounded.isinf() & ~values.isinf()
    if lost.any():
        largest = values[lost].abs().max().item()
        raise TutelageError(f"a target value of {largest:.6g} does not fit into 16 bits; set cache.dtype=fp32")
    return rounded.cpu().numpy()


def _floats(values: npt.NDArray[Any]) -> Tensor:
    # Copy, because a field is a view with gaps between its rows.
    return torch.from_numpy(np.array(values, order="C")).float()
