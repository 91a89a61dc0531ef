"""Fit weights files to a model, and hash weights."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tutelage.errors import TutelageError, nearest
from tutelage.models.weights.checkpoint_classes import find_class_names, read_config_beside
from tutelage.models.weights.reading import read_file
from tutelage.models.weights.renaming import translate
from tutelage.paths import expand

#: Prefixes that wrappers add to the names of the model's entries.
_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "student.", "net.")
#: The networks that an mmrazor algorithm stores side by side.
_PARTS = ("architecture.", "teacher.")
_SHOWN = 4
#: Modules that training scripts store next to the model, by a word in their names: losses and metrics.
_BESIDES = {
    *("criterion", "loss", "losses", "metric", "metrics", "acc", "accuracy", "auroc", "auc", "precision", "recall"),
    *("specificity", "confmat", "confusion", "fscore", "iou"),
}
#: Auxiliary classifiers of GoogLeNet and Inception, only used in training.
_AUXILIARY = {"aux", "aux1", "aux2", "auxlogits", "aux_head", "aux_classifier", "auxiliary_head"}
#: Single numbers of moving averages and profilers.
_COUNTERS = {
    *("n_averaged", "num_updates", "updates", "decay", "step", "steps", "initted", "global_step"),
    *("total_ops", "total_params"),
}


@dataclass(frozen=True)
class Found:
    """State dict in a file that matches a model, under the model's names."""

    path: Path
    state: Mapping[str, Tensor]
    notes: tuple[str, ...]
    """Descriptions of what was unwrapped and renamed."""
    content: Any
    """Whole content of the file."""

    def class_names(self, count: int) -> tuple[str, ...] | None:
        """Return the names of the ``count`` classes from the file or the ``config.json`` next to it; None if absent."""
        return find_class_names(self.content, count) or find_class_names(read_config_beside(self.path), count)

    def head_width(self, model: nn.Module) -> int | None:
        """Return the file's number of classes if the head is all that differs from the model; None otherwise."""
        expected = model.state_dict()
        wrong = {name for name in expected.keys() & self.state.keys() if self.state[name].shape != expected[name].shape}
        counts = _other_head({name: (self.state[name].shape, expected[name].shape) for name in wrong})
        return counts[0] if counts is not None else None

    def copy_to(self, model: nn.Module) -> None:
        """Copy all entries into ``model``, or raise TutelageError and change nothing if one does not fit."""
        expected = model.state_dict()
        _check_fit(self.state, expected, self.path)
        _check_values(self.state, expected, self.path)
        # Not load_state_dict: some torchvision models need a version number there that safetensors does not store.
        for name in expected.keys() & self.state.keys():
            expected[name].copy_(self.state[name])


def load_weights(model: nn.Module, path: str | Path, key: str | None = None) -> list[str]:
    """Load a weights file into ``model`` in place. Either every entry fits, or nothing is changed.

    The file is safetensors, or a state dict written by ``torch.save``. It is read with ``weights_only=True``, so code
    in it never runs. Differences that training scripts introduce are resolved:

    * A state dict nested in a checkpoint (``{"model": …, "optimizer": …}``) is found.
    * Prefixes of wrappers (``module.``, ``_orig_mod.``, ``backbone.``, …) are removed.
    * The names that RepDistiller, OFD and OpenMMLab use for tutelage's networks are replaced (``renaming.py``).
    * Losses, metrics, auxiliary classifiers and counters stored next to the weights are ignored.
    * ``num_batches_tracked``, which old files lack, may be missing.

    Args:
        model: The network to load into.
        path: The weights file.
        key: State dict to use if the file contains several (``model_ema``, ``teacher``).

    Returns:
        Descriptions of what was unwrapped and renamed, empty for a plain state dict.

    Raises:
        TutelageError: If the file does not exist, is not a safe weights file, contains several state dicts that fit, or
            has entries that do not fit, are not plain numbers, or are NaN or infinite.

    Example:
        >>> import torch
        >>> from tutelage.models import create_model, load_weights
        >>> torch.save({"model": create_model("resnet8").state_dict()}, "checkpoint.pth")
        >>> load_weights(create_model("resnet8"), "checkpoint.pth")
        ["used the state dict 'model'"]
    """
    found = find_weights(model, path, key)
    found.copy_to(model)
    return list(found.notes)


def find_weights(model: nn.Module, path: str | Path, key: str | None = None) -> Found:
    """Return the state dict in a file that matches ``model`` without loading it; see ``load_weights``."""
    path = expand(path)
    content = read_file(path)
    state, notes = _choose_state(content, model.state_dict(), path, key)
    return Found(path, state, tuple(notes), content)


def weights_hash(model: nn.Module) -> str:
    """Return the SHA-256 (64 hex digits) of the state dict's names, dtypes, shapes and bytes.

    The hash depends neither on the device nor on the memory format.

    Example:
        >>> import copy
        >>> from tutelage.models import create_model, weights_hash
        >>> model = create_model("resnet8")
        >>> weights_hash(model) == weights_hash(copy.deepcopy(model))
        True
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


@dataclass(frozen=True)
class _Candidate:
    """State dict in a file, under the model's names as far as they are known."""

    place: str
    """Dotted key in the file; empty at the top level."""
    state: dict[str, Tensor]
    notes: list[str]
    outside: int = 0
    """Number of entries next to the state dict that lack its prefix."""

    def closeness(self, expected: Mapping[str, Tensor]) -> tuple[int, int, int]:
        """Return a sort key for how well the state dict fits.

        Moving averages have a counter next to them, so that the weights themselves fit better.
        """
        shared = expected.keys() & self.state.keys()
        shapes = sum(self.state[name].shape == expected[name].shape for name in shared)
        return len(shared), shapes, -len(self.state.keys() - expected.keys()) - self.outside


def _choose_state(
    content: Any, expected: Mapping[str, Tensor], path: Path, key: str | None
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the state dict in ``content`` that matches the model, under its names, and notes on how it was found."""
    dicts = _state_dicts(content)
    found = [candidate for place, state in dicts for candidate in _candidates(place, state, expected)]
    if not found:
        raise TutelageError(f"weights '{path}': this is not a weights file; there is no state dict in it")
    if key is not None:
        best = [candidate for candidate in found if f".{candidate.place}".endswith(f".{key.strip('.')}")]
        if len(best) != 1:
            problem = "several state dicts have" if best else "no state dict has"
            raise TutelageError(f"weights_key={key}: {problem} this name in '{path}'; set one of {_places(found)}")
    else:
        closest = max(candidate.closeness(expected) for candidate in found)
        best = [candidate for candidate in found if candidate.closeness(expected) == closest]
        if not closest[0] and len(best) > 1:  # as in a file that only holds an optimizer
            raise TutelageError(
                f"weights '{path}': no entry has the name of an entry of the model ({_places(found)}); use a file of "
                f"this architecture"
            )
    if len(best) > 1:
        raise TutelageError(
            f"weights '{path}': it holds {len(best)} state dicts that fit equally well ({_places(best)}); set "
            f"weights_key to one of them"
        )
    state, ignored = _without_extras(best[0].state, expected)
    took = [f"used the state dict '{best[0].place}'"] * bool(best[0].place)
    return state, took + best[0].notes + ignored


def _places(candidates: list[_Candidate]) -> str:
    return _first([f"'{candidate.place or '.'}'" for candidate in candidates])


def _state_dicts(content: Any, place: str = "", depth: int = 3) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield each mapping that contains tensors, and its dotted key."""
    if not isinstance(content, Mapping):
        return
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if tensors:
        yield place, tensors
    if depth:
        for name, value in content.items():
            yield from _state_dicts(value, f"{place}.{name}" if place else str(name), depth - 1)


def _candidates(place: str, state: dict[str, Tensor], expected: Mapping[str, Tensor]) -> Iterator[_Candidate]:
    """Yield the possible models in a state dict: each prefix with all names, otherwise the best-known renaming."""
    prefixes = _whole_prefixes(state, expected)
    for prefix in prefixes:
        own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        notes = [f"removed the prefix '{part}.'" for part in prefix.split(".")[:-1]]
        others = [name for name in state if not name.startswith(prefix)]
        own_place = f"{place}.{prefix}".strip(".") if len(prefixes) > 1 else place
        yield _Candidate(own_place, own, notes + _ignored(others, len(own)), len(others))
    if not prefixes:
        yield _Candidate(place, *_under_names(state, expected))
        for part in _PARTS:
            if own := {name.removeprefix(part): value for name, value in state.items() if name.startswith(part)}:
                yield _Candidate(f"{place}.{part}".strip("."), *_under_names(own, expected))


def _whole_prefixes(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """Return the prefixes, possibly empty, under which a state dict has every entry of the model."""
    needed = [name for name in expected if not name.endswith("num_batches_tracked")]
    longest = max(needed, key=len, default="")
    places = [name.removesuffix(longest) for name in state if name == longest or name.endswith(f".{longest}")]
    return [prefix for prefix in places if all(prefix + name in state for name in needed)]


def _without_extras(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Drop entries that training scripts store next to the weights, unless the model has such a module."""
    modules = {name.partition(".")[0] for name in expected}
    extra = [name for name in state if name not in expected and _is_extra(name, state[name], modules)]
    return {name: state[name] for name in state if name not in extra}, _ignored(extra, len(state))


def _is_extra(name: str, value: Tensor, modules: set[str]) -> bool:
    first, last = name.partition(".")[0], name.rpartition(".")[2]
    if value.numel() == 1 and last in _COUNTERS:
        return True
    words = re.split(r"[_\d]+", first.lower())
    return first not in modules and (first.lower() in _AUXILIARY or any(word in _BESIDES for word in words))


def _ignored(names: list[str], kept: int) -> list[str]:
    if not names:
        return []
    modules = list(dict.fromkeys(name.partition(".")[0] for name in names))
    return [f"ignored {len(names)} of {len(names) + kept} entries that are not part of the model: {_first(modules)}"]


def _under_names(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    bare, removed = _without_prefixes(state, expected)
    renamed, notes = translate(bare, expected)
    return renamed, [f"removed the prefix '{prefix}'" for prefix in removed] + notes


def _without_prefixes(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Remove wrappers' prefixes from the outermost inwards, unless the model has such names or names would collide."""
    current, removed = dict(state), []
    possible = [prefix for prefix in _PREFIXES if not any(name.startswith(prefix) for name in expected)]
    while prefix := next((p for p in possible if any(name.startswith(p) for name in current)), None):
        bare = {name.removeprefix(prefix): tensor for name, tensor in current.items()}
        if len(bare) < len(current):
            break
        current = bare
        removed.append(prefix)
    return current, removed


def _check_fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    missing = [name for name in expected if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in expected]
    shapes = {name: (state[name].shape, expected[name].shape) for name in expected if name in state}
    wrong = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
    problems = []
    if missing:
        close = nearest(missing[0], unexpected, 1)
        hint = f"; nearest to {missing[0]} in the file: {close[0]}" if close else ""
        problems.append(f"{len(missing)} missing ({_first(missing)}{hint})")
    if unexpected:
        problems.append(f"{len(unexpected)} unexpected ({_first(unexpected)})")
    if wrong:
        described = [
            f"{name}: {tuple(theirs)} in the file, {tuple(ours)} in the model" for name, (theirs, ours) in wrong.items()
        ]
        problems.append(f"{len(wrong)} with another shape ({_first(described)})")
    if problems:
        counts = _other_head(wrong)
        if counts is not None:
            theirs, ours = counts
            problems.append(f"the file's head has {theirs} classes, the model's {ours}; set num_classes={theirs}")
        raise TutelageError(f"weights '{path}' do not fit the model: {'; '.join(problems)}")


def _check_values(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise TutelageError for tensors that are quantized, sparse, NaN or infinite, and for negative variances."""
    shared = [name for name in expected if name in state]
    packed = [name for name in shared if not _is_plain(state[name], expected[name])]
    if packed:
        raise TutelageError(
            f"weights '{path}': {_first(packed)}: quantized, sparse or other special tensors; save plain "
            f"floating-point tensors (tensor.dequantize(), tensor.to_dense())"
        )
    broken = [name for name in shared if not state[name].to(expected[name].dtype).isfinite().all()]
    if broken:
        raise TutelageError(
            f"weights '{path}': {len(broken)} of its entries hold NaN or infinite numbers ({_first(broken)}), so their "
            f"training diverged; use an earlier checkpoint"
        )
    negative = [name for name in shared if name.endswith("running_var") and bool((state[name] < 0).any())]
    if negative:
        raise TutelageError(
            f"weights '{path}': {_first(negative)}: a variance cannot be negative; the file is damaged, use another one"
        )


def _is_plain(found: Tensor, expected: Tensor) -> bool:
    dense = found.layout == torch.strided and not found.is_meta
    return dense and found.is_floating_point() >= expected.is_floating_point()


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _other_head(wrong: Mapping[str, tuple[torch.Size, torch.Size]]) -> tuple[int, int] | None:
    """Return the class counts of file and model if a single module differs, and only in its first dimension."""
    heads = {name.rpartition(".")[0] for name in wrong}
    counts = {(theirs[0], ours[0]) for theirs, ours in wrong.values() if theirs and ours and theirs[1:] == ours[1:]}
    has_matrix = any(len(ours) > 1 for _, ours in wrong.values())
    if len(heads) != 1 or len(counts) != 1 or not has_matrix:
        return None
    return counts.pop()
