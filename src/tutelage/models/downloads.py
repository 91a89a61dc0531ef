"""One error for weights that cannot be fetched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tutelage.errors import TutelageError


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
