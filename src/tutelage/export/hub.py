"""Upload exports to the Hugging Face Hub."""

from __future__ import annotations

import os
from pathlib import Path

from huggingface_hub import HfApi, get_token

from tutelage.errors import TutelageError


def check_token(repository: str) -> None:
    """Check that this machine has a token for the Hugging Face Hub.

    Raises:
        TutelageError: If there is no token.
    """
    if get_token() is None:
        raise TutelageError(
            f"push={repository}: there is no token for the Hugging Face hub; run hf auth login or set $HF_TOKEN"
        )


def push(folder: Path, repository: str, private: bool) -> str:
    """Upload an export folder as the model ``repository`` (USER/NAME), created if needed, and return its URL.

    Raises:
        TutelageError: If the Hub is unreachable or rejects the upload.
    """
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Export by tutelage")
    except Exception as error:  # the HTTP library depends on the version of huggingface_hub
        reason = str(error).strip().partition("\n")[0]
        raise TutelageError(
            f"push={repository}: the upload failed ({reason}); check that you own the name and that the token can "
            f"write. The export is in {folder}"
        ) from None
    return str(address)
