"""``TutelageError``, and suggestions of similar names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_CODE = 75
"""Exit code of a process stopped by SIGTERM (EX_TEMPFAIL in sysexits.h); running the same command again resumes it."""

LONGEST = 100
"""Number of characters of a name that are compared with others; the time grows with their square."""


class TutelageError(ValueError):
    """A mistake in the user's input; the message names the value, the place and the remedy.

    Example:
        >>> import tutelage
        >>> tutelage.create_model("resnet8", num_classes=0)
        Traceback (most recent call last):
        tutelage.errors.TutelageError: model 'resnet8': num_classes must be at least 1, not 0
    """


def shortened(value: object, most: int = 200) -> str:
    """Return a value as text, cut off after ``most`` characters.

    Example:
        >>> shortened("a" * 300, most=5)
        'aaaaa… (300 characters)'
    """
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def nearest(name: str, candidates: Iterable[str], count: int = 3) -> list[str]:
    """Return up to ``count`` candidates similar to ``name``, best first; possibly none. Case does not count.

    Example:
        >>> nearest("ResNet21", ["resnet20", "vgg8"])
        ['resnet20']
    """
    spelled = {candidate.casefold(): candidate for candidate in candidates}
    close = difflib.get_close_matches(name[:LONGEST].casefold(), spelled, n=count, cutoff=0.5)
    return [spelled[candidate] for candidate in close]


def unknown(kind: str, name: str, candidates: Iterable[str]) -> TutelageError:
    """Return the error for an unknown name, with similar or all known names."""
    known = sorted(candidates)
    close = nearest(name, known)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"
    return TutelageError(f"unknown {kind} '{shortened(name)}': {hint}")
