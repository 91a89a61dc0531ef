"""The Hugging Face hub."""

from __future__ import annotations

import os
from pathlib import Path

from huggingface_hub import HfApi, get_token

from tutelage.errors import TutelageError


def check_token(repository: str) -> None:
    """Raises :class:`TutelageError` where this machine has no token of the hub."""
    if get_token() is None:
        raise TutelageError(
            f"push={repository}: there is no token of the Hugging Face hub: hf auth login, or $HF_TOKEN"
        )


def push(folder: Path, repository: str, private: bool) -> str:
    """Uploads an export folder as the model ``repository`` (USER/NAME), made where needed; returns its address.

    Raises :class:`TutelageError` where the hub cannot be reached or refuses.
    """
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Export by tutelage")
    except Exception as error:  # whichever HTTP library this version of huggingface_hub uses
        reason = str(error).strip().partition("\n")[0]
        raise TutelageError(
            f"push={repository}: the hub did not take it ({reason}); the export is in {folder}. Is the name yours, "
            f"and may the token write?"
        ) from None
    return str(address)
