"""Weights that are downloaded: one error where that fails, without a minute of retries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tutelage.errors import TutelageError

CONNECT_SECONDS = 5.0
"""How long the hub may take to answer at all."""


@contextmanager
def reachable_or_cached() -> Iterator[None]:
    """Use only Hugging Face's cache inside if one request shows that the hub cannot be reached.

    The hub's client would retry each file of the weights for half a minute, and print a line every time. A download
    that has begun is retried as usual.

    Raises:
        OSError: the hub cannot be reached, and the cache lacks a file.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=CONNECT_SECONDS)
    except Exception as error:  # of whichever HTTP library this version of huggingface_hub uses
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
    """Turns what fails inside while fetching the weights of ``name`` into a ``TutelageError`` with both ways out.

    Args:
        name: the model, as the user named it.
        cache: where the library keeps what it downloaded.
        otherwise: the way out without a download.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        yield
    except RepositoryNotFoundError as error:
        raise TutelageError(
            f"model '{name}': there is no such repository on the Hugging Face hub, or it is private or gated and "
            f"`hf auth login` has not been run"
        ) from error
    except OSError as error:  # also what huggingface_hub and urllib raise without a connection
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise TutelageError(
            f"model '{name}': its pretrained weights are not in the cache and could not be downloaded ({reason}). "
            f"Either create this model once on a connected machine and copy the cache ({cache}) to this one, "
            f"or {otherwise}"
        ) from error
