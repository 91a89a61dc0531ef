"""Paths that users pass."""

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


def check_out(out: Path, overwrite: bool, kind: str, is_kind: bool, remedy: str = "") -> None:
    """Raise an error if writing to ``out`` would destroy something; a missing path and an empty folder are free.

    Args:
        out: File or folder to write.
        overwrite: Whether something of the same kind may be replaced.
        kind: What is written, such as "a run folder".
        is_kind: Whether the content of ``out`` is of this kind.
        remedy: A further way out, appended to the message.

    Raises:
        TutelageError: If ``out`` is taken.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not is_kind:
        raise TutelageError(f"{out} exists and is not {kind}; set another out=…")
    if not overwrite:
        raise TutelageError(f"{out} exists; set another out=… or overwrite=true to replace it{remedy}")
