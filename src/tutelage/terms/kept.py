"""How a cache identifies the target of a term, and judges whether it is worth storing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Kept:
    """Describes a target that is a pure function of the teacher and one view of a sample.

    ``logits`` and ``statistic`` (an attention map, an FSP matrix) are small. ``features`` are as large as the features
    they are computed from, and are stored only on request.

    Example:
        >>> Kept.of("statistic", "attention", "layer3", p=2)
        Kept(kind='statistic', name='attention(layer3; p=2)')
    """

    kind: Literal["logits", "statistic", "features"]
    name: str
    """Identifies the target among all those of a teacher: equal names stand for equal tensors."""

    @classmethod
    def of(cls, kind: Literal["logits", "statistic", "features"], what: str, *taps: str, **settings: object) -> Kept:
        """Return the description named ``what(taps; settings)``."""
        described = ", ".join(f"{key}={value}" for key, value in sorted(settings.items()))
        return cls(kind, f"{what}({', '.join(taps)}; {described})")
