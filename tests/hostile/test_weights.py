"""Weights files from anywhere: nothing in them is ever run, and what does not fit is said before any training."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from hostile.conftest import Fail
from tutelage import TutelageError
from tutelage.models import create_model, load_weights

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol", "ignore::DeprecationWarning")

State = dict[str, Tensor]
Make = Callable[[Path, State], object]


class Payload:
    """Makes the folder ``hacked`` when unpickled, by one function or another."""

    def __init__(self, how: str = "os.mkdir") -> None:
        self.how = how

    def __reduce__(self) -> tuple[Any, ...]:
        if self.how == "os.mkdir":
            return os.mkdir, ("hacked",)
        if self.how == "eval":
            return eval, ("__import__('os').mkdir('hacked')",)
        return __import__, ("this",)


class Stateful:
    """Runs code where its state is set."""

    def __setstate__(self, state: Any) -> None:
        os.mkdir("hacked")

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}


def _legacy(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def _raw(content: Any, path: Path, protocol: int) -> None:
    path.write_bytes(pickle.dumps(content, protocol=protocol))


CODE: dict[str, tuple[str, Make]] = {
    "a payload alone": ("w.pt", lambda path, state: torch.save(Payload(), path)),
    "beside the weights": ("w.pth", lambda path, state: torch.save({**state, "x": Payload()}, path)),
    "beside the state dict": ("w.tar", lambda path, state: torch.save({"state_dict": state, "x": Payload()}, path)),
    "deep in the options": ("w.ckpt", lambda path, state: torch.save({"model": state, "o": [{"p": Payload()}]}, path)),
    "as a key": ("w.pt", lambda path, state: torch.save({Payload("eval"): 1, **state}, path)),
    "eval": ("w.pt", lambda path, state: torch.save({**state, "x": Payload("eval")}, path)),
    "an import": ("w.pt", lambda path, state: torch.save({**state, "x": Payload("import")}, path)),
    "a class with a state": ("w.pt", lambda path, state: torch.save({**state, "x": Stateful()}, path)),
    "a whole model": ("w.pt", lambda path, state: torch.save(create_model("resnet8", 5), path)),
    "in the old format": ("w.bin", lambda path, state: _legacy({**state, "x": Payload()}, path)),
    "in Hugging Face's file": ("pytorch_model.bin", lambda path, state: torch.save({**state, "x": Payload()}, path)),
    "a bare pickle": ("w.pt", lambda path, state: _raw(Payload(), path, 2)),
    "a bare pickle of protocol 0": ("w.pt", lambda path, state: _raw(Payload(), path, 0)),
    "a bare pickle of protocol 4": ("w.pth", lambda path, state: _raw(Payload(), path, 4)),
    "a pickle named safetensors": ("w.safetensors", lambda path, state: _raw(Payload(), path, 2)),
    "a checkpoint named safetensors": ("w.safetensors", lambda path, state: torch.save({"x": Payload()}, path)),
}  # fmt: skip


@pytest.fixture(scope="module")
def state() -> State:
    return create_model("resnet8", 5).state_dict()


def refusal(path: Path) -> str:
    """The message for a file that must not be loaded; the model is then as it was."""
    model = create_model("resnet8", 5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(TutelageError) as error:
        load_weights(model, path)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert str(error.value).startswith(f"weights '{path}'")
    return str(error.value)


@pytest.mark.parametrize("name", CODE)
def test_code_is_refused_and_never_run(name: str, state: State) -> None:
    file, make = CODE[name]
    make(Path(file), state)
    assert not Path("hacked").exists()
    message = refusal(Path(file))
    assert "not a safe weights file" in message or "not a weights file" in message
    assert not Path("hacked").exists()


def test_the_payload_works_where_it_is_let(state: State) -> None:
    """Or the tests above would prove nothing."""
    for number, how in enumerate(("os.mkdir", "eval")):
        torch.save({**state, "x": Payload(how)}, "w.pt")
        torch.load("w.pt", weights_only=False)
        os.rename("hacked", f"was {number}")
    torch.save(Stateful(), "w.pt")
    torch.load("w.pt", weights_only=False)
    assert Path("hacked").is_dir()


def test_code_is_refused_on_every_way_in(state: State, fail: Fail) -> None:
    torch.save({**state, "x": Payload()}, "w.pt")
    tiny = ["data=digits", "epochs=1", "precision=fp32", "device=cpu", "out=run"]
    weights = {
        "train": ["train", *tiny, "model=resnet8", "model.weights=w.pt"],
        "distill, student": ["distill", *tiny, "student=resnet8", "student.weights=w.pt", "method=none"],
        "distill, teacher": ["distill", *tiny, "student=resnet8", "teacher=resnet8", "teacher.weights=w.pt"],
        "evaluate": ["evaluate", "data=digits", "model=resnet8", "model.weights=w.pt"],
    }
    for words in weights.values():
        assert "not a safe weights file" in fail(*words)
    assert not Path("hacked").exists() and not Path("run").exists()


def _safetensors(header: Any, data: bytes = b"", length: int | None = None) -> Make:
    text = json.dumps(header).encode()
    return lambda path, state: path.write_bytes(
        struct.pack("<Q", len(text) if length is None else length) + text + data
    )


def _one(**changes: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}}


def _truncated(share: float, save: Callable[[State, Path], object]) -> Make:
    def make(path: Path, state: State) -> None:
        save(state, path)
        os.truncate(path, int(path.stat().st_size * share))

    return make


def _changed(change: Callable[[Tensor], Tensor]) -> Make:
    return lambda path, state: torch.save(
        {k: change(v) if v.is_floating_point() else v for k, v in state.items()}, path
    )


def _one_changed(name: str, value: float) -> Make:
    def make(path: Path, state: State) -> None:
        changed = {key: tensor.clone() for key, tensor in state.items()}
        changed[name].view(-1)[-1] = value
        (safetensors.torch.save_file if path.suffix == ".safetensors" else torch.save)(changed, path)

    return make


def _inflating(path: Path, state: State) -> None:
    """A checkpoint whose one tensor takes 4 MB, and a few kilobytes of the file."""
    torch.save({**state, "conv1.weight": torch.zeros(2**20)}, "whole.pt")
    with zipfile.ZipFile("whole.pt") as whole, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))


def _in_itself(path: Path, state: State) -> None:
    content: dict[str, Any] = {}
    content["me"] = content
    torch.save(content, path)


FILES: dict[str, tuple[str, Make, str]] = {
    "a header of 2^63 bytes": ("w.safetensors", _safetensors({}, length=2**63), "header"),
    "a header longer than the file": ("w.safetensors", _safetensors({}, length=10_000), "header"),
    "a header of no bytes": ("w.safetensors", _safetensors({}, length=0), "header"),
    "a header that is a list": ("w.safetensors", _safetensors([1]), "header"),
    "a tensor of 4 terabytes": (
        "w.safetensors", _safetensors(_one(shape=[10**12], data_offsets=[0, 4 * 10**12])), "header"
    ),
    "a tensor of negative size": ("w.safetensors", _safetensors(_one(shape=[-1]), bytes(4)), "header"),
    "tensors over each other": (
        "w.safetensors", _safetensors({**_one(), "b": _one()["a"]}, bytes(4)), "header"
    ),
    "offsets past the end": ("w.safetensors", _safetensors(_one(data_offsets=[4, 8]), bytes(4)), "header"),
    "an unknown type": ("w.safetensors", _safetensors(_one(dtype="F99"), bytes(4)), "header"),
    "no tensor": ("w.safetensors", _safetensors({}), "there is no state dict in it"),
    "safetensors of no bytes": ("w.safetensors", lambda path, state: path.write_bytes(b""), "not a weights file"),
    "no bytes": ("w.pt", lambda path, state: path.write_bytes(b""), "not a weights file"),
    "html": ("w.bin", lambda path, state: path.write_text("<html>404</html>"), "it begins with b'<h'"),
    "a zip": ("w.pt", lambda path, state: zipfile.ZipFile(path, "w").writestr("a", "b"), "not a weights file"),
    "random bytes": ("w.pt", lambda path, state: path.write_bytes(bytes(range(256))), "not a weights file"),
    "safetensors named pt": ("w.pt", lambda path, state: safetensors.torch.save_file(state, path), "not a weights"),
    "pt named safetensors": ("w.safetensors", lambda path, state: torch.save(state, path), "not a weights file"),
    **{
        f"safetensors cut at {share:.0%}": (
            "w.safetensors", _truncated(share, safetensors.torch.save_file), "not a weights file"
        )
        for share in (0.01, 0.5, 0.99)
    },
    **{f"pt cut at {share:.0%}": ("w.pt", _truncated(share, torch.save), "not a") for share in (0.01, 0.5, 0.99)},
    "a program of TorchScript": (
        "w.pt", lambda path, state: torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path), "TorchScript"
    ),
    "an empty dictionary": ("w.pt", lambda path, state: torch.save({}, path), "there is no state dict"),
    "a list": ("w.pt", lambda path, state: torch.save([state], path), "there is no state dict"),
    "a tensor": ("w.pt", lambda path, state: torch.save(torch.zeros(3), path), "there is no state dict"),
    "a number": ("w.pt", lambda path, state: torch.save(3, path), "there is no state dict"),
    "words": ("w.pt", lambda path, state: torch.save(dict.fromkeys(state, "x"), path), "there is no state dict"),
    "a dictionary within itself": ("w.pt", _in_itself, "there is no state dict"),
    "five dictionaries deep": (
        "w.pt", lambda path, state: torch.save({"a": {"b": {"c": {"d": {"e": state}}}}}, path), "there is no state dict"
    ),
    "two state dicts": (
        "w.pt", lambda path, state: torch.save({"a": state, "b": dict(state)}, path), "2 state dicts that fit equally"
    ),
    "other names": (
        "w.pt", lambda path, state: torch.save({f"x{n}": v for n, v in enumerate(state.values())}, path), "unexpected"
    ),
    "another network's": (
        "w.pt", lambda path, state: torch.save(create_model("resnet14", 5).state_dict(), path), "layer1.1.conv1.weight"
    ),
    "another width": (
        "w.pt", lambda path, state: torch.save(create_model("resnet8x4", 5).state_dict(), path), "with another shape"
    ),
    "other classes": (
        "w.pt", lambda path, state: torch.save(create_model("resnet8", 7).state_dict(), path), "num_classes=7"
    ),
    "one entry less": ("w.pt", lambda path, state: torch.save(dict(list(state.items())[1:]), path), "1 missing"),
    "a view of a trillion numbers": (
        "w.pt",
        lambda path, state: torch.save({**state, "conv1.weight": torch.zeros(1).expand(10**6, 10**6)}, path),
        "with another shape",
    ),
    "zeros that inflate": ("w.pt", _inflating, "with another shape"),
    "not a number": ("w.pt", _one_changed("conv1.weight", float("nan")), "NaN or infinite numbers (conv1.weight)"),
    "not a number, in safetensors": (
        "w.safetensors", _one_changed("layer2.0.conv1.weight", float("nan")), "(layer2.0.conv1.weight)"
    ),
    "infinity": ("w.pt", _one_changed("fc.bias", float("inf")), "NaN or infinite numbers (fc.bias)"),
    "an infinite variance": ("w.pt", _one_changed("bn1.running_var", float("inf")), "(bn1.running_var)"),
    "more than float32 holds": ("w.pt", _changed(lambda v: v.double() * 1e300), "NaN or infinite numbers"),
    "quantised": (
        "w.pt", _changed(lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8)), "quantized, sparse or other"
    ),
    "sparse": ("w.pt", _changed(lambda v: v.to_sparse()), "quantized, sparse or other"),
    "complex": ("w.pt", _changed(lambda v: v.to(torch.complex64)), "quantized, sparse or other"),
    "of 8-bit integers": ("w.pt", _changed(lambda v: v.to(torch.int8)), "quantized, sparse or other"),
    "of no device": ("w.pt", _changed(lambda v: v.to("meta")), "quantized, sparse or other"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_loaded(name: str, state: State) -> None:
    file, make, expected = FILES[name]
    make(Path(file), state)
    assert expected in refusal(Path(file))


CONVERTED: dict[str, Make] = {
    "in half precision": _changed(lambda v: v.half()),
    "in double precision": _changed(lambda v: v.double()),
    "in bfloat16": _changed(lambda v: v.bfloat16()),
    "in channels-last order": _changed(lambda v: v.to(memory_format=torch.channels_last) if v.ndim == 4 else v),
    "under model": lambda path, state: torch.save({"model": state, "epoch": 3}, path),
    "under state_dict, with module.": lambda path, state: torch.save(
        {"state_dict": {f"module.{k}": v for k, v in state.items()}, "args": {"lr": 1}}, path
    ),
    "under a number": lambda path, state: torch.save({1: state}, path),
    "with counters missing": lambda path, state: torch.save(
        {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, path
    ),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_what_is_unusual_and_loaded(name: str, state: State) -> None:
    CONVERTED[name](Path("w.pt"), state)
    model = create_model("resnet8", 5)
    load_weights(model, "w.pt")
    assert all(torch.allclose(model.state_dict()[key], value, atol=1e-2) for key, value in state.items())
    assert all(value.dtype == state[key].dtype for key, value in model.state_dict().items())


def test_a_teacher_of_nan_is_refused_before_training(fail: Fail) -> None:
    state = create_model("resnet8", 10).state_dict()
    state["layer3.0.conv2.weight"][0] = float("nan")
    torch.save(state, "w.pt")
    message = fail(
        "distill", "data=digits", "student=resnet8", "teacher=resnet8", "teacher.weights=w.pt", "method=kd", "out=run"
    )
    assert "NaN" in message and "layer3.0.conv2.weight" in message and "w.pt" in message
    assert not Path("run").exists()
