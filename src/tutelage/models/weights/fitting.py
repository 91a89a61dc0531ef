"""Weights files: reading them without running code, fitting them to a model, and telling weights apart by a hash."""

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

#: What wrappers put before the names of the model's own entries.
_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "student.", "net.")
#: The networks that an algorithm of mmrazor holds beside each other.
_PARTS = ("architecture.", "teacher.")
_SHOWN = 4
#: Modules that training scripts keep beside the model, by a word of their names: losses and metrics.
_BESIDES = {
    *("criterion", "loss", "losses", "metric", "metrics", "acc", "accuracy", "auroc", "auc", "precision", "recall"),
    *("specificity", "confmat", "confusion", "fscore", "iou"),
}
#: Classifiers of GoogLeNet and Inception that only help to train.
_AUXILIARY = {"aux", "aux1", "aux2", "auxlogits", "aux_head", "aux_classifier", "auxiliary_head"}
#: Single numbers of moving averages and of profilers.
_COUNTERS = {
    *("n_averaged", "num_updates", "updates", "decay", "step", "steps", "initted", "global_step"),
    *("total_ops", "total_params"),
}


@dataclass(frozen=True)
class Found:
    """The state dict of a file that belongs to a model, under the model's names."""

    path: Path
    state: Mapping[str, Tensor]
    notes: tuple[str, ...]
    """What was unwrapped and renamed, in words."""
    content: Any
    """All that the file holds."""

    def class_names(self, count: int) -> tuple[str, ...] | None:
        """Return the names of the ``count`` classes, if the file or the ``config.json`` beside it has them."""
        return find_class_names(self.content, count) or find_class_names(read_config_beside(self.path), count)

    def head_width(self, model: nn.Module) -> int | None:
        """Returns the classes of the file where they are not the model's, and its head is all that differs."""
        expected = model.state_dict()
        wrong = {name for name in expected.keys() & self.state.keys() if self.state[name].shape != expected[name].shape}
        counts = _other_head({name: (self.state[name].shape, expected[name].shape) for name in wrong})
        return counts[0] if counts is not None else None

    def copy_to(self, model: nn.Module) -> None:
        """Copies every entry into ``model``; raises :class:`TutelageError`, nothing changed, where one does not fit."""
        expected = model.state_dict()
        _check_fit(self.state, expected, self.path)
        _check_values(self.state, expected, self.path)
        # Not load_state_dict: some torchvision models read there a version that safetensors does not keep.
        for name in expected.keys() & self.state.keys():
            expected[name].copy_(self.state[name])


def load_weights(model: nn.Module, path: str | Path, key: str | None = None) -> list[str]:
    """Loads a weights file into ``model``, in place and completely: every entry must fit, or nothing is changed.

    The file is safetensors, or a state dict written by ``torch.save`` (read with ``weights_only=True``: code in it is
    never run). A state dict inside a checkpoint (``{"model": …, "optimizer": …}``) is found, prefixes that wrappers
    leave (``module.``, ``_orig_mod.``, ``backbone.``, …) are taken off, and the names that RepDistiller, OFD and
    OpenMMLab have for networks that are defined here too are replaced (``layouts.py``), where there is only one way to
    do so. Counters of batches that old files lack (``num_batches_tracked``) may be missing. Losses, metrics, auxiliary
    classifiers and counters that scripts save beside the weights are ignored. ``key`` chooses among several state dicts
    of a file (``model_ema``, ``teacher``).

    Returns:
        What was unwrapped and renamed, in words; empty where the file was the plain state dict.

    Raises:
        TutelageError: there is no such file; it is not a weights file, or not a safe one; it holds several state
            dicts that fit; its entries do not fit the model, are no plain numbers, or are NaN or infinite.
    """
    found = find_weights(model, path, key)
    found.copy_to(model)
    return list(found.notes)


def find_weights(model: nn.Module, path: str | Path, key: str | None = None) -> Found:
    """Returns the state dict in a file that belongs to ``model``, not yet loaded; see :func:`load_weights`."""
    path = expand(path)
    content = read_file(path)
    state, notes = _choose_state(content, model.state_dict(), path, key)
    return Found(path, state, tuple(notes), content)


def weights_hash(model: nn.Module) -> str:
    """Returns the SHA-256 (64 hex digits) of the state dict: names in sorted order, each with dtype, shape and bytes.

    It depends neither on the device nor on the memory format.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


@dataclass(frozen=True)
class _Candidate:
    """A state dict in a file, under the model's names as far as they are known."""

    place: str
    """Its key in the file, dotted; empty at the top."""
    state: dict[str, Tensor]
    notes: list[str]
    outside: int = 0
    """Entries beside it that do not have its prefix."""

    def closeness(self, expected: Mapping[str, Tensor]) -> tuple[int, int, int]:
        """How well it fits. An average of the weights has a counter beside them: the weights themselves fit better."""
        shared = expected.keys() & self.state.keys()
        shapes = sum(self.state[name].shape == expected[name].shape for name in shared)
        return len(shared), shapes, -len(self.state.keys() - expected.keys()) - self.outside


def _choose_state(
    content: Any, expected: Mapping[str, Tensor], path: Path, key: str | None
) -> tuple[dict[str, Tensor], list[str]]:
    """Returns the state dict in ``content`` that belongs to the model, under its names, and what was done for that."""
    dicts = _state_dicts(content)
    found = [candidate for place, state in dicts for candidate in _candidates(place, state, expected)]
    if not found:
        raise TutelageError(f"weights '{path}': this is not a weights file: there is no state dict in it")
    if key is not None:
        best = [candidate for candidate in found if f".{candidate.place}".endswith(f".{key.strip('.')}")]
        if len(best) != 1:
            problem = "several state dicts are" if best else "no state dict is"
            raise TutelageError(f"weights_key={key}: {problem} called so in '{path}', which has {_places(found)}")
    else:
        closest = max(candidate.closeness(expected) for candidate in found)
        best = [candidate for candidate in found if candidate.closeness(expected) == closest]
        if not closest[0] and len(best) > 1:  # as in a file of an optimizer alone
            raise TutelageError(f"weights '{path}': no entry of it is called like one of the model ({_places(found)})")
    if len(best) > 1:
        raise TutelageError(
            f"weights '{path}': it holds {len(best)} state dicts that fit equally well ({_places(best)}); set "
            f"weights_key to the one you mean"
        )
    state, ignored = _without_extras(best[0].state, expected)
    took = [f"took the state dict under '{best[0].place}'"] * bool(best[0].place)
    return state, took + best[0].notes + ignored


def _places(candidates: list[_Candidate]) -> str:
    return _first([f"'{candidate.place or '.'}'" for candidate in candidates])


def _state_dicts(content: Any, place: str = "", depth: int = 3) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yields every mapping with tensors, and where it lies; a single tensor among figures is none to load."""
    if not isinstance(content, Mapping):
        return
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if tensors:
        yield place, tensors
    if depth:
        for name, value in content.items():
            yield from _state_dicts(value, f"{place}.{name}" if place else str(name), depth - 1)


def _candidates(place: str, state: dict[str, Tensor], expected: Mapping[str, Tensor]) -> Iterator[_Candidate]:
    """Yields what in a state dict may be the model: under each prefix that has all its names, else as far as known."""
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
    """Returns the prefixes under which a state dict has every entry of the model; the empty one is among them."""
    needed = [name for name in expected if not name.endswith("num_batches_tracked")]
    longest = max(needed, key=len, default="")
    places = [name.removesuffix(longest) for name in state if name == longest or name.endswith(f".{longest}")]
    return [prefix for prefix in places if all(prefix + name in state for name in needed)]


def _without_extras(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Leaves out what training scripts are known to keep beside the weights, unless the model has such a module."""
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
    return [f"ignored {len(names)} of {len(names) + kept} entries, which are not the model's: {_first(modules)}"]


def _under_names(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    bare, removed = _without_prefixes(state, expected)
    renamed, notes = translate(bare, expected)
    return renamed, [f"removed the prefix '{prefix}'" for prefix in removed] + notes


def _without_prefixes(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Takes wrappers' prefixes off, outermost first, where the model has no such names and none would then collide."""
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
        problems.append(f"{len(wrong)} of another shape ({_first(described)})")
    if problems:
        counts = _other_head(wrong)
        if counts is not None:
            theirs, ours = counts
            problems.append(f"the file's head has {theirs} classes, the model's {ours}: give num_classes={theirs}")
        raise TutelageError(f"weights '{path}' do not fit the model: {'; '.join(problems)}")


def _check_values(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raises :class:`TutelageError` for tensors that hold no plain numbers, or none that a network can compute with."""
    shared = [name for name in expected if name in state]
    packed = [name for name in shared if not _is_plain(state[name], expected[name])]
    if packed:
        raise TutelageError(
            f"weights '{path}': {_first(packed)}: these are quantised, sparse, or otherwise no plain floating-point "
            f"numbers; save them as such (tensor.dequantize(), tensor.to_dense())"
        )
    broken = [name for name in shared if not state[name].to(expected[name].dtype).isfinite().all()]
    if broken:
        raise TutelageError(
            f"weights '{path}': {len(broken)} of its entries hold NaN or infinite numbers ({_first(broken)}): the "
            f"training that made them broke down; take an earlier checkpoint of it"
        )


def _is_plain(found: Tensor, expected: Tensor) -> bool:
    dense = found.layout == torch.strided and not found.is_meta
    return dense and found.is_floating_point() >= expected.is_floating_point()


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _other_head(wrong: Mapping[str, tuple[torch.Size, torch.Size]]) -> tuple[int, int] | None:
    """Returns the classes of the file and of the model, where one module alone differs, and by its first dimension."""
    heads = {name.rpartition(".")[0] for name in wrong}
    counts = {(theirs[0], ours[0]) for theirs, ours in wrong.values() if theirs and ours and theirs[1:] == ours[1:]}
    has_matrix = any(len(ours) > 1 for _, ours in wrong.values())
    if len(heads) != 1 or len(counts) != 1 or not has_matrix:
        return None
    return counts.pop()
