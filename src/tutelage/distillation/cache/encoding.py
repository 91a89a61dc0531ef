"""Targets of a teacher as records of a fixed size, and back."""

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
"""One record an element: a NumPy array of a structured dtype."""

_NUMPY = {"fp16": "<f2", "fp32": "<f4"}
_TORCH = {"fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class Dense:
    """All values of a target of ``shape``, a sample's, rounded to 16 or 32 bits."""

    shape: tuple[int, ...]
    dtype: Stored

    @property
    def fields(self) -> Fields:
        """The fields of a record, as a structured dtype is made of them."""
        return [("values", _NUMPY[self.dtype], self.shape)]

    @property
    def record_bytes(self) -> int:
        return np.dtype(self.fields).itemsize

    def encode(self, target: Tensor) -> StructuredArray:
        """Returns (B,) records of (B, *shape) values, from any device.

        Raises :class:`TutelageError` for a value that is too large for 16 bits. What the teacher itself gives as
        infinite or NaN stays so.
        """
        records = np.empty(len(target), self.fields)
        records["values"] = _rounded(target, self.dtype)
        return records

    def decode(self, records: StructuredArray) -> Tensor:
        """Returns the (B, *shape) values of (B,) records, float32, on the CPU."""
        return _floats(records["values"])


@dataclass(frozen=True)
class TopK:
    """The ``k`` largest of the logits of ``classes``, and ``rest``: log Σ exp z over the classes left out.

    Decoded, each class left out gets rest − log(classes − k). Softmax at temperature 1 thus gives the teacher's k
    probabilities and the sum of the others, within the stored precision; at other temperatures it approximates them.
    Raises :class:`TutelageError` where no class would be left out.
    """

    classes: int
    k: int
    dtype: Stored

    def __post_init__(self) -> None:
        if self.k >= self.classes:
            raise TutelageError(
                f"cache.top_k={self.k}: the data have {self.classes} classes; give fewer, or leave it out to keep all "
                f"logits"
            )

    @property
    def fields(self) -> Fields:
        """The fields of a record, as a structured dtype is made of them."""
        index = "<i2" if self.classes <= 2**15 else "<i4"
        return [("rest", "<f4", ()), ("indices", index, (self.k,)), ("values", _NUMPY[self.dtype], (self.k,))]

    @property
    def record_bytes(self) -> int:
        return np.dtype(self.fields).itemsize

    def encode(self, target: Tensor) -> StructuredArray:
        """Returns (B,) records of (B, classes) logits, from any device.

        Raises :class:`TutelageError` for one of the k that is too large for 16 bits.
        """
        logits = target.detach().float()
        values, indices = logits.topk(self.k, dim=1)
        records = np.empty(len(target), self.fields)
        records["values"] = _rounded(values, self.dtype)
        records["indices"] = indices.cpu().numpy()
        records["rest"] = logits.scatter(1, indices, -math.inf).logsumexp(1).cpu().numpy()
        return records

    def decode(self, records: StructuredArray) -> Tensor:
        """Returns (B, classes) logits of (B,) records, float32, on the CPU."""
        share = _floats(records["rest"]) - math.log(self.classes - self.k)
        indices = torch.from_numpy(records["indices"].astype(np.int64))
        return share.unsqueeze(1).repeat(1, self.classes).scatter_(1, indices, _floats(records["values"]))


Encoding = Dense | TopK


def _rounded(values: Tensor, dtype: Stored) -> npt.NDArray[Any]:
    rounded = values.detach().to(_TORCH[dtype])
    lost = rounded.isinf() & ~values.isinf()
    if lost.any():
        largest = values[lost].abs().max().item()
        raise TutelageError(f"a target of {largest:.6g} does not fit 16 bits: give cache.dtype=fp32")
    return rounded.cpu().numpy()


def _floats(values: npt.NDArray[Any]) -> Tensor:
    # Copied: a field is a view with gaps between its rows.
    return torch.from_numpy(np.array(values, order="C")).float()
