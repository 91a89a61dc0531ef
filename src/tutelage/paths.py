"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

from tutelage.errors import TutelageError, shortened


def expand(text: str | Path) -> Path:
    """Returns the path with ``~`` written out.

    Raises :class:`TutelageError` for a user who is not there, and where the disk cannot even be asked for it: a name
    that is too long, a folder that may not be entered.
    """
    try:
        path = Path(text).expanduser()
        path.exists()
    except RuntimeError:
        raise TutelageError(f"{shortened(text)}: there is no such user") from None
    except OSError as error:
        raise TutelageError(f"{shortened(text)}: {error.strerror}") from None
    return path
