"""Libraries that are not always installed, and that talk more than they are asked."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from tutelage.errors import TutelageError


def require(what: str, packages: Iterable[str]) -> None:
    """Raises :class:`TutelageError`, saying how to install it, where one of ``packages`` is missing."""
    for package in packages:
        if find_spec(package) is None:
            raise TutelageError(f"{what} needs the package {package}: pip install 'tutelage[export]'")


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, libraries give neither warnings nor log lines below errors."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def quiet_native() -> Iterator[None]:
    """Within it, what compiled code writes to standard error is dropped, unless it fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        except BaseException:
            written.seek(0)
            os.write(kept, written.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
