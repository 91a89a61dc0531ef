"""Image classifiers in folders that transformers has saved (``save_pretrained``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tutelage.errors import TutelageError, shortened
from tutelage.models.libraries.image_processor import PREPROCESSOR, measure_preprocessing
from tutelage.models.spec import TRANSFORMERS, ModelSpec, known_names
from tutelage.models.storage import CONFIG, WEIGHTS

_SHOWN = 4


class TransformersClassifier(nn.Module):
    """An image classifier of transformers that returns its logits alone, as all other networks do."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, K) of normalized images (B, 3, H, W)."""
        logits: Tensor = self.model(pixel_values=images).logits
        return logits


def load_transformers(folder: Path) -> tuple[nn.Module, ModelSpec]:
    """Build the network in a folder that transformers has saved, with its weights. No code in the folder is run.

    Its normalization and size are those of ``preprocessor_config.json``. Without that file the size is
    the one in ``config.json``, and the normalization is unknown.

    Raises:
        TutelageError: transformers is not installed, the network does not classify images, weights are missing, or a
            file is damaged.
    """
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise TutelageError(
            f"'{folder}' was saved by transformers, which is not installed: pip install 'tutelage[transformers]'"
        ) from None
    if not (folder / WEIGHTS).is_file():
        raise TutelageError(
            f"'{folder / WEIGHTS}': there is no such file; load the model with transformers and save it in one file "
            f"of safetensors: model.save_pretrained(FOLDER, max_shard_size='50GB')"
        )
    with _silence():
        return _load(folder)


def _load(folder: Path) -> tuple[nn.Module, ModelSpec]:
    from transformers import AutoConfig, AutoModelForImageClassification, __version__

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model, found = AutoModelForImageClassification.from_pretrained(
            folder,
            # Both are given, because a config.json can name attention kernels of the hub: code to be downloaded.
            config=config,
            attn_implementation="eager",
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:  # files of unknown origin make its code fail in every way there is
        reason = "the shapes of the weights differ" if "mismatched_sizes" in str(error) else shortened(error)
        raise TutelageError(
            f"'{folder / CONFIG}' and '{WEIGHTS}': transformers {__version__} cannot load an image classifier from "
            f"them ({reason})"
        ) from error
    if missing := found["missing_keys"]:
        raise TutelageError(
            f"weights '{folder / WEIGHTS}': {len(missing)} entries of the image classifier in {CONFIG} are missing "
            f"and would be random ({_first(missing)})"
        )
    spec = ModelSpec(
        name=TRANSFORMERS + config.model_type,
        num_classes=config.num_labels,
        classes=known_names(config.id2label),
        source=str(folder),
        notes=_ignored(found["unexpected_keys"]),
    )
    return TransformersClassifier(model), replace(spec, **_preprocessing(folder, config))


def _ignored(names: set[str]) -> tuple[str, ...]:
    return (f"ignored {len(names)} entries, which are not the model's: {_first(names)}",) if names else ()


def _first(names: set[str]) -> str:
    return ", ".join(sorted(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _preprocessing(folder: Path, config: Any) -> dict[str, Any]:
    """Return what the spec has to say of the images, as far as it is known."""
    if (folder / PREPROCESSOR).is_file():
        return measure_preprocessing(folder)
    side = getattr(config, "image_size", None)
    return {"input_size": (side, side)} if isinstance(side, int) else {}


@contextmanager
def _silence() -> Iterator[None]:
    """Keep transformers from printing its progress and its report on the weights, of which errors are made here."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
