"""What a term keeps of the teacher, in words: how a cache knows a target again, and whether it is worth storing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Kept:
    """The nature of a target that is a pure function of one sample's view and the teacher.

    ``logits`` and ``statistic`` (an attention map, an FSP matrix) are small; ``features`` are as large as what they
    are read from, and stored only when asked for.
    """

    kind: Literal["logits", "statistic", "features"]
    name: str
    """Tells it from all other targets of the same teacher: equal names stand for equal tensors."""

    @classmethod
    def of(cls, kind: Literal["logits", "statistic", "features"], what: str, *taps: str, **settings: object) -> Kept:
        """Returns it under the name ``what(taps; settings)``."""
        described = ", ".join(f"{key}={value}" for key, value in sorted(settings.items()))
        return cls(kind, f"{what}({', '.join(taps)}; {described})")
