"""Image classifiers in folders saved by transformers (``save_pretrained``)."""

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
    """Wrapper of a transformers image classifier that returns only the logits, like all other networks."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, K) of normalized images (B, 3, H, W)."""
        logits: Tensor = self.model(pixel_values=images).logits
        return logits


def load_transformers(folder: Path) -> tuple[nn.Module, ModelSpec]:
    """Build the network in a folder saved by transformers, with its weights. No code in the folder is run.

    Normalization and input size come from ``preprocessor_config.json``. Without that file the size comes from
    ``config.json``, and the normalization is unknown.

    Raises:
        TutelageError: If transformers is not installed, the network is not an image classifier, weights are missing, or
            a file is damaged.
    """
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise TutelageError(
            f"'{folder}' was saved by transformers, which is not installed; run pip install 'tutelage[transformers]'"
        ) from None
    if not (folder / WEIGHTS).is_file():
        raise TutelageError(
            f"'{folder / WEIGHTS}': there is no such file; load the model with transformers and save it as a single "
            f"safetensors file: model.save_pretrained(FOLDER, max_shard_size='50GB')"
        )
    with _silence():
        return _load(folder)


def _load(folder: Path) -> tuple[nn.Module, ModelSpec]:
    from transformers import AutoConfig, AutoModelForImageClassification, __version__

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model, found = AutoModelForImageClassification.from_pretrained(
            folder,
            # Set explicitly, because a config.json can name attention kernels on the hub, which are downloaded code.
            config=config,
            attn_implementation="eager",
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:  # files of unknown origin can make transformers fail in any way
        reason = "the shapes of the weights differ" if "mismatched_sizes" in str(error) else shortened(error)
        raise TutelageError(
            f"'{folder / CONFIG}' and '{WEIGHTS}': transformers {__version__} cannot load an image classifier from "
            f"them ({reason}); check that the folder is complete"
        ) from error
    if missing := found["missing_keys"]:
        raise TutelageError(
            f"weights '{folder / WEIGHTS}': {len(missing)} entries of the image classifier in {CONFIG} are missing and "
            f"would be random ({_first(missing)}); save the fine-tuned classifier"
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
    return (f"ignored {len(names)} entries that are not part of the model: {_first(names)}",) if names else ()


def _first(names: set[str]) -> str:
    return ", ".join(sorted(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _preprocessing(folder: Path, config: Any) -> dict[str, Any]:
    """Return the known preprocessing, as fields of ``ModelSpec``."""
    if (folder / PREPROCESSOR).is_file():
        return measure_preprocessing(folder)
    side = getattr(config, "image_size", None)
    return {"input_size": (side, side)} if isinstance(side, int) else {}


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress transformers' progress bars and report on the weights, which are checked here."""
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
