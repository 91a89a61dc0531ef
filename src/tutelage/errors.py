"""The one error users see, and the search for the name they probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_CODE = 75
"""Of a process that SIGTERM stopped: EX_TEMPFAIL of sysexits.h. Nothing is wrong; run the same command again."""

LONGEST = 100
"""Letters of a name that are compared with others: the time grows with their square."""


class TutelageError(ValueError):
    """A mistake in what the user asked for: the message names the value, the place, and the way out."""


def shortened(value: object, most: int = 200) -> str:
    """Returns what a message shows of a value: all of it, or its beginning where it is long."""
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def nearest(name: str, candidates: Iterable[str], count: int = 3) -> list[str]:
    """Returns up to ``count`` candidates that look most like ``name``, best first (possibly none)."""
    return difflib.get_close_matches(name[:LONGEST], list(candidates), n=count, cutoff=0.5)


def unknown(kind: str, name: str, candidates: Iterable[str]) -> TutelageError:
    """Builds the error for a name that does not exist, naming the nearest one that does."""
    known = sorted(candidates)
    close = nearest(name, known)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"
    return TutelageError(f"unknown {kind} '{shortened(name)}': {hint}")
