"""Weights files: reading them without running code, fitting them to a model, and telling weights apart by a hash."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from tutelage.errors import TutelageError

#: What wrappers put before the names of the model's own entries.
_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "student.", "net.")
_SHOWN = 4


def load_weights(model: nn.Module, path: str | Path) -> list[str]:
    """Loads a weights file into ``model``, in place and completely: every entry must fit, or nothing is changed.

    The file is safetensors, or a state dict written by ``torch.save`` (read with ``weights_only=True``: code in it is
    never run). A state dict inside a checkpoint (``{"model": …, "optimizer": …}``) is found, and prefixes that
    wrappers leave (``module.``, ``_orig_mod.``, ``backbone.``, …) are taken off, where there is only one way to do so.
    Counters of batches that old files lack (``num_batches_tracked``) may be missing.

    Returns:
        What was unwrapped, in words; empty where the file was the plain state dict.

    Raises:
        TutelageError: there is no such file; it is not a weights file, or not a safe one; it holds several state
            dicts that fit; its entries do not fit the model.
    """
    path = Path(path).expanduser()
    expected = model.state_dict()
    state, notes = _choose_state(_read(path), expected, path)
    _check_fit(state, expected, path)
    # Not load_state_dict: some torchvision models read there a version that safetensors does not keep.
    for name in expected.keys() & state.keys():
        expected[name].copy_(state[name])
    return notes


def weights_hash(model: nn.Module) -> str:
    """Returns the SHA-256 (64 hex digits) of the state dict: names in sorted order, each with dtype, shape and bytes.

    It depends neither on the device nor on the memory format.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(path: Path) -> Any:
    if path.is_dir():
        raise TutelageError(f"weights '{path}': is a folder, a weights file is needed; give a saved model as the model")
    if not path.is_file():
        raise TutelageError(f"weights '{path}': there is no such file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes of unknown origin make the two parsers fail in every way there is
        raise TutelageError(f"weights '{path}': {_why_unreadable(path, error)}") from error


def _why_unreadable(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    # A zip archive of torch.save, or a bare pickle: it was understood as far as to be refused.
    if isinstance(error, pickle.UnpicklingError) and (start == b"PK" or start[:1] == b"\x80"):
        return (
            "this is not a safe weights file: it holds Python objects other than tensors, which could run code when "
            "loaded; it was refused and nothing in it was run. If you trust its origin, load it yourself and save the "
            "state dict alone (torch.save(model.state_dict(), …), or safetensors)"
        )
    reason = str(error)
    if "TorchScript" in reason:
        return (
            "this is a TorchScript program, not a weights file; save its state dict (torch.save(model.state_dict(), …))"
        )
    first_line = (reason or type(error).__name__).splitlines()[0][:160]
    return (
        f"this is not a weights file: neither safetensors (named *.safetensors) nor a state dict written by torch.save "
        f"can be read from it ({first_line})"
    )


def _choose_state(content: Any, expected: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Returns the state dict in ``content`` that belongs to the model, without prefixes, and what was unwrapped."""
    found = [(place, *_without_prefixes(state, expected)) for place, state in _state_dicts(content)]
    if not found:
        raise TutelageError(f"weights '{path}': this is not a weights file: there is no state dict in it")
    overlap = [len(expected.keys() & state.keys()) for _, state, _ in found]
    best = [candidate for candidate, count in zip(found, overlap) if count == max(overlap)]
    if len(best) > 1:
        places = ", ".join(f"'{place}'" for place, _, _ in best)
        raise TutelageError(
            f"weights '{path}': it holds {len(best)} state dicts that fit equally well ({places}); save the one you "
            f"mean to a file of its own"
        )
    place, state, prefixes = best[0]
    notes = [f"took the state dict under '{place}'"] if place else []
    notes += [f"removed the prefix '{prefix}'" for prefix in prefixes]
    return state, notes


def _state_dicts(content: Any, place: str = "", depth: int = 3) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    if not isinstance(content, Mapping):
        return
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if tensors:
        yield place, tensors
    elif depth:
        for name, value in content.items():
            yield from _state_dicts(value, f"{place}.{name}" if place else str(name), depth - 1)


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
        problems.append(f"{len(missing)} missing ({_first(missing)})")
    if unexpected:
        problems.append(f"{len(unexpected)} unexpected ({_first(unexpected)})")
    if wrong:
        described = [
            f"{name}: {tuple(theirs)} in the file, {tuple(ours)} in the model" for name, (theirs, ours) in wrong.items()
        ]
        problems.append(f"{len(wrong)} of another shape ({_first(described)})")
    if problems:
        raise TutelageError(f"weights '{path}' do not fit the model: {'; '.join(problems)}{_other_head(wrong)}")


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _other_head(wrong: Mapping[str, tuple[torch.Size, torch.Size]]) -> str:
    """Names the class count to ask for, where one module alone does not fit, and by its first dimension."""
    heads = {name.rpartition(".")[0] for name in wrong}
    counts = {(theirs[0], ours[0]) for theirs, ours in wrong.values() if theirs and ours and theirs[1:] == ours[1:]}
    has_matrix = any(len(ours) > 1 for _, ours in wrong.values())
    if len(heads) != 1 or len(counts) != 1 or not has_matrix:
        return ""
    ((theirs, ours),) = counts
    return f"; the file's head has {theirs} classes, the model's {ours}: give num_classes={theirs}"
