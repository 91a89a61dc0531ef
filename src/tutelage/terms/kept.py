"""Description of a term's target, by which a cache identifies it and decides whether to store it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["logits", "embedding", "statistic", "features"]


@dataclass(frozen=True)
class Kept:
    """Description of a target that is a pure function of the teacher and one view of a sample.

    Targets of the kinds ``logits``, ``embedding`` and ``statistic`` (an attention map, an FSP matrix) are small.
    Targets of the kind ``features`` are as large as the features they are computed from, and are stored only on
    request.

    Example:
        >>> Kept.of("statistic", "attention", "layer3", p=2)
        Kept(kind='statistic', name='attention(layer3; p=2)')
    """

    kind: Kind
    name: str
    """Identity of the target among all targets of a teacher: equal names mean equal tensors."""

    @classmethod
    def of(cls, kind: Kind, what: str, *taps: str, **settings: object) -> Kept:
        """Return a description with the name ``what(taps; settings)``."""
        described = ", ".join(f"{key}={value}" for key, value in sorted(settings.items()))
        return cls(kind, f"{what}({', '.join(taps)}; {described})")
