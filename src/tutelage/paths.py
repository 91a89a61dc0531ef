"""Expansion of paths that users pass."""

from __future__ import annotations

from pathlib import Path

from tutelage.errors import TutelageError, shortened


def expand(text: str | Path) -> Path:
    """Return the path with ``~`` expanded.

    Raises:
        TutelageError: If the user after ``~`` does not exist, or the path cannot be accessed, e.g. because a name is
            too long or permission is denied.
    """
    try:
        path = Path(text).expanduser()
        path.exists()
    except RuntimeError:
        raise TutelageError(f"{shortened(text)}: there is no such user; check the name after ~") from None
    except OSError as error:
        raise TutelageError(f"{shortened(text)}: {error.strerror}; check the path") from None
    return path
