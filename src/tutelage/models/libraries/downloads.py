"""Downloads of pretrained weights that fail early and with one error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tutelage.errors import TutelageError

CONNECT_SECONDS = 5.0
"""Timeout for an answer from the hub, in seconds."""


@contextmanager
def reachable_or_cached() -> Iterator[None]:
    """Use only Hugging Face's cache inside the block if the hub is unreachable.

    One request decides. Without it, the hub's client would retry each file for half a minute and print a line each
    time. Downloads that have started are retried as usual.

    Raises:
        OSError: If the hub is unreachable and a file is not in the cache.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=CONNECT_SECONDS)
    except Exception as error:  # the HTTP library depends on the version of huggingface_hub
        unreachable = f"{constants.ENDPOINT}: {error}"
    else:
        yield
        return
    usual, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    except OSError:
        raise OSError(unreachable) from None
    finally:
        constants.HF_HUB_OFFLINE = usual


@contextmanager
def downloading(name: str, cache: str, otherwise: str) -> Iterator[None]:
    """Convert download errors inside the block to a ``TutelageError`` that lists both remedies.

    Args:
        name: The model's name, as the user wrote it.
        cache: Location of the library's download cache.
        otherwise: The remedy without a download.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        yield
    except RepositoryNotFoundError as error:
        raise TutelageError(
            f"model '{name}': there is no such repository on the Hugging Face hub, or it is private or gated; check "
            f"the name or run `hf auth login`"
        ) from error
    except OSError as error:  # huggingface_hub and urllib raise it without a connection
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise TutelageError(
            f"model '{name}': its pretrained weights are not in the cache and could not be downloaded ({reason}). "
            f"Create this model once on a connected machine and copy the cache ({cache}) to this one, or {otherwise}"
        ) from error
