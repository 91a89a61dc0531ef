"""Weights files: what is unwrapped, what is refused, and the hash."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tutelage.errors import TutelageError
from tutelage.models import create_model, load_weights, save_model, spec_of, weights_hash


class Malicious:
    """Makes a folder when unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def source() -> nn.Module:
    return create_model("resnet8", 5)


def loaded_from(path: Path, source: nn.Module) -> list[str]:
    target = create_model("resnet8", 5)
    assert weights_hash(target) != weights_hash(source)
    notes = load_weights(target, path)
    assert weights_hash(target) == weights_hash(source)
    return notes


def test_plain_files(tmp_path: Path, source: nn.Module) -> None:
    save_file(source.state_dict(), tmp_path / "a.safetensors")
    torch.save(source.state_dict(), tmp_path / "a.pth")
    assert loaded_from(tmp_path / "a.safetensors", source) == []
    assert loaded_from(tmp_path / "a.pth", source) == []


def test_create_model_with_a_weights_file(tmp_path: Path, source: nn.Module) -> None:
    path = tmp_path / "a.safetensors"
    save_file(source.state_dict(), path)
    model = create_model("resnet8", 5, weights=str(path))
    assert weights_hash(model) == weights_hash(source)
    assert model.spec.source == str(path)


@pytest.mark.parametrize("prefixes", [("module.",), ("_orig_mod.",), ("backbone.",), ("module.", "_orig_mod.")])
def test_prefixes_are_removed(tmp_path: Path, source: nn.Module, prefixes: tuple[str, ...]) -> None:
    state = {"".join(prefixes) + name: value for name, value in source.state_dict().items()}
    torch.save(state, tmp_path / "a.pth")
    assert loaded_from(tmp_path / "a.pth", source) == [f"removed the prefix '{prefix}'" for prefix in prefixes]


@pytest.mark.parametrize("name", ["model", "state_dict", "net", "model_state"])
def test_a_checkpoint_is_unwrapped(tmp_path: Path, source: nn.Module, name: str) -> None:
    optimizer = torch.optim.SGD(source.parameters(), lr=0.1, momentum=0.9)
    state = {f"module.{key}": value for key, value in source.state_dict().items()}
    checkpoint = {"epoch": 3, "optimizer": optimizer.state_dict(), name: state, "connectors": {"w": torch.zeros(3)}}
    torch.save(checkpoint, tmp_path / "a.pth")
    notes = loaded_from(tmp_path / "a.pth", source)
    assert notes == [f"used the state dict '{name}'", "removed the prefix 'module.'"]


def test_two_fitting_states_are_ambiguous(tmp_path: Path, source: nn.Module) -> None:
    torch.save({"model": source.state_dict(), "ema": source.state_dict()}, tmp_path / "a.pth")
    with pytest.raises(TutelageError, match="'model', 'ema'"):
        load_weights(create_model("resnet8", 5), tmp_path / "a.pth")


Entries = dict[str, torch.Tensor]


def prefixed(prefix: str, source: nn.Module) -> Entries:
    return {prefix + name: value.clone() for name, value in source.state_dict().items()}


@pytest.mark.parametrize("prefix", ["encoder.", "classifier.", "net._orig_mod.", "module.backbone.", "model.model."])
def test_any_prefix_that_all_entries_share_is_removed(tmp_path: Path, source: nn.Module, prefix: str) -> None:
    torch.save({"state_dict": prefixed(prefix, source)}, tmp_path / "a.pth")
    assert f"removed the prefix '{prefix.split('.')[0]}.'" in loaded_from(tmp_path / "a.pth", source)


EXTRAS: dict[str, Entries] = {
    "criterion": {"criterion.weight": torch.ones(5)},
    "train_acc, val_metrics": {"train_acc.tp": torch.zeros(5), "val_metrics.confmat": torch.zeros(5, 5)},
    "aux1, AuxLogits": {"aux1.fc.weight": torch.zeros(5, 8), "AuxLogits.fc.bias": torch.zeros(5)},
    "n_averaged, layer1": {"n_averaged": torch.tensor(3), "layer1.total_ops": torch.zeros(1)},
}


@pytest.mark.parametrize("where", ["", "model."])
@pytest.mark.parametrize("modules, extras", EXTRAS.items(), ids=EXTRAS)
def test_known_extras_are_ignored_with_a_note(
    tmp_path: Path, source: nn.Module, modules: str, extras: Entries, where: str
) -> None:
    torch.save({"state_dict": prefixed(where, source) | extras}, tmp_path / "a.ckpt")
    notes = loaded_from(tmp_path / "a.ckpt", source)
    assert notes[-1].startswith(f"ignored {len(extras)} of ") and notes[-1].endswith(f": {modules}")


def test_unknown_extras_within_the_model_are_refused(tmp_path: Path, source: nn.Module) -> None:
    torch.save(prefixed("", source) | {"layer9.weight": torch.zeros(3)}, tmp_path / "a.pth")
    with pytest.raises(TutelageError, match=r"1 unexpected \(layer9.weight\)"):
        load_weights(create_model("resnet8", 5), tmp_path / "a.pth")


@pytest.mark.parametrize("flat", [True, False], ids=["one dict", "two dicts"])
def test_a_key_chooses_among_several_state_dicts(tmp_path: Path, source: nn.Module, flat: bool) -> None:
    other = create_model("resnet8", 5)
    if flat:
        content: dict[str, object] = {"state_dict": prefixed("student.", source) | prefixed("teacher.net.", other)}
    else:
        content = {"student": prefixed("module.", source), "teacher": {"net": prefixed("", other)}}
    torch.save(content, tmp_path / "dino.pth")
    with pytest.raises(TutelageError, match="fit equally well .*student', '.*teacher.net'.*set weights_key"):
        load_weights(create_model("resnet8", 5), tmp_path / "dino.pth")
    for key, wanted in (("student", source), ("teacher.net", other)):
        model = create_model("resnet8", 5, weights=str(tmp_path / "dino.pth"), weights_key=key)
        assert weights_hash(model) == weights_hash(wanted)
    with pytest.raises(TutelageError, match="weights_key=ema: no state dict has this name .*student'"):
        load_weights(create_model("resnet8", 5), tmp_path / "dino.pth", "ema")
    with pytest.raises(TutelageError, match="weights_key=ema selects a state dict within a file; set weights=FILE too"):
        create_model("resnet8", 5, weights_key="ema")


def test_missing_batch_counters_are_no_mismatch(tmp_path: Path, source: nn.Module) -> None:
    state = {name: value for name, value in source.state_dict().items() if not name.endswith("num_batches_tracked")}
    save_file(state, tmp_path / "a.safetensors")
    assert loaded_from(tmp_path / "a.safetensors", source) == []


def test_a_mismatch_names_the_keys_and_changes_nothing(tmp_path: Path, source: nn.Module) -> None:
    state = dict(source.state_dict())
    state["fc.extra"] = state.pop("conv1.weight")
    state["bn1.weight"] = torch.zeros(7)
    torch.save(state, tmp_path / "a.pth")
    target = create_model("resnet8", 5)
    before = weights_hash(target)
    with pytest.raises(TutelageError) as raised:
        load_weights(target, tmp_path / "a.pth")
    message = str(raised.value)
    assert "1 missing (conv1.weight)" in message
    assert "1 unexpected (fc.extra)" in message
    assert "bn1.weight: (7,) in the file, (16,) in the model" in message
    assert "num_classes" not in message
    assert weights_hash(target) == before


def test_another_head_names_the_class_count(tmp_path: Path) -> None:
    save_file(create_model("resnet8", 100).state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(TutelageError, match="set num_classes=100"):
        create_model("resnet8", 10, weights=str(tmp_path / "a.safetensors"))
    assert create_model("resnet8", weights=str(tmp_path / "a.safetensors")).spec.num_classes == 100


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"just some text\n" * 50, bytes(range(256)) * 8, b"PK\x03\x04 broken"])
def test_what_is_not_a_weights_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TutelageError, match=f"{name}.*not a weights file"):
        load_weights(create_model("resnet8"), tmp_path / name)


def test_a_file_without_tensors(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "history": [1.0]}, tmp_path / "a.pth")
    with pytest.raises(TutelageError, match="no state dict in it"):
        load_weights(create_model("resnet8"), tmp_path / "a.pth")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="no such file"):
        load_weights(create_model("resnet8"), tmp_path / "a.pth")
    with pytest.raises(TutelageError, match="is a folder"):
        load_weights(create_model("resnet8"), tmp_path)
    with pytest.raises(TutelageError, match=r"nowhere/a\.pth.*no such file"):
        create_model("resnet8", weights="nowhere/a.pth")


@pytest.mark.parametrize("writer", ["torch", "torch-legacy", "pickle"])
@pytest.mark.parametrize("nested", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, writer: str, nested: bool) -> None:
    planted, path = tmp_path / "planted", tmp_path / "a.pth"
    content = {"state_dict": {"conv1.weight": Malicious(planted)}} if nested else Malicious(planted)
    if writer == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(TutelageError, match="not a safe weights file"):
        load_weights(create_model("resnet8"), path)
    assert not planted.exists()
    torch.load(path, weights_only=False) if writer == "torch" else pickle.loads(pickle.dumps(content))
    assert planted.exists(), "the file would have been harmless"


def test_a_whole_model_is_refused(tmp_path: Path, source: nn.Module) -> None:
    torch.save(source, tmp_path / "a.pth")
    with pytest.raises(TutelageError, match="not a safe weights file"):
        load_weights(source, tmp_path / "a.pth")


def test_hash_follows_names_dtypes_shapes_and_values() -> None:
    model = nn.Linear(4, 2)
    first = weights_hash(model)
    assert first == weights_hash(model)
    assert len(first) == 64
    hashes = {first}
    with torch.no_grad():
        model.weight[0, 0] += 1e-3
    hashes.add(weights_hash(model))
    hashes.add(weights_hash(model.to(torch.bfloat16)))
    hashes.add(weights_hash(nn.Sequential(model)))
    wide = nn.Linear(2, 4, bias=False)
    tall = nn.Linear(4, 2, bias=False)
    tall.weight.data = wide.weight.data.reshape(2, 4)
    hashes |= {weights_hash(wide), weights_hash(tall)}
    assert len(hashes) == 6


def test_hash_is_the_same_in_channels_last_and_stable() -> None:
    model = create_model("resnet8")
    assert weights_hash(model.to(memory_format=torch.channels_last)) == weights_hash(create_copy(model))
    fixed = nn.Linear(2, 1)
    fixed.load_state_dict({"weight": torch.tensor([[1.0, 2.0]]), "bias": torch.tensor([3.0])})
    assert weights_hash(fixed) == "21a9fa496624af25215c15349b65926a5c1f7fa9310f1878c217e57eb1d84089"


def create_copy(model: nn.Module) -> nn.Module:
    copy = create_model("resnet8")
    copy.load_state_dict(model.state_dict())
    return copy


NAMES = ["c", "e", "a", "d", "b"]
WITH_NAMES = {
    "a list": {"classes": NAMES},
    "numbers by name": {"class_to_idx": {name: number for number, name in enumerate(NAMES)}},
    "names by number": {"names": dict(enumerate(NAMES))},
    "Lightning": {"hyper_parameters": {"lr": 0.1, "class_names": NAMES}},
    "OpenMMLab": {"meta": {"dataset_meta": {"CLASSES": tuple(NAMES)}}},
}


@pytest.mark.parametrize("beside", WITH_NAMES.values(), ids=WITH_NAMES)
def test_names_of_classes_in_a_checkpoint_are_kept(
    tmp_path: Path, source: nn.Module, beside: dict[str, object]
) -> None:
    torch.save({"state_dict": source.state_dict(), **beside}, tmp_path / "a.pth")
    spec = spec_of(create_model("resnet8", weights=str(tmp_path / "a.pth")))
    assert spec.classes == tuple(NAMES) and "read 5 class names" in spec.notes


@pytest.mark.parametrize(
    "beside",
    [
        {"classes": ["0", "1", "2", "3", "4"]},
        {"classes": NAMES[:4]},
        {"classes": ["a"] * 5},
        {"classes": NAMES, "class_names": sorted(NAMES)},
        {"labels": [3, 1, 2, 0, 4]},
        {"class_to_idx": {"a": [0]}},
    ],
    ids=["numbers", "too few", "one name", "two lists", "labels", "something else"],
)
def test_what_is_not_names_of_the_classes_is_not_taken_for_them(
    tmp_path: Path, source: nn.Module, beside: dict[str, object]
) -> None:
    torch.save({"state_dict": source.state_dict(), **beside}, tmp_path / "a.pth")
    assert spec_of(create_model("resnet8", weights=str(tmp_path / "a.pth"))).classes is None


def test_lists_of_names_that_disagree_are_mentioned(tmp_path: Path, source: nn.Module) -> None:
    beside = {"classes": NAMES, "class_to_idx": {name: number for number, name in enumerate(sorted(NAMES))}}
    torch.save({"state_dict": source.state_dict(), **beside}, tmp_path / "a.pth")
    with pytest.warns(UserWarning, match="names in the weights file are not used, .* disagree: class 0 is 'a' or 'c'"):
        create_model("resnet8", weights=str(tmp_path / "a.pth"))


def test_a_negative_variance_is_refused(tmp_path: Path, source: nn.Module) -> None:
    state = source.state_dict()
    torch.save({**state, "bn1.running_var": -state["bn1.running_var"]}, tmp_path / "a.pth")
    with pytest.raises(TutelageError, match="bn1.running_var: a variance cannot be negative"):
        create_model("resnet8", weights=str(tmp_path / "a.pth"))


def test_names_of_classes_in_the_config_beside_a_weights_file(tmp_path: Path, source: nn.Module) -> None:
    save_model(source, tmp_path, replace(spec_of(source), classes=tuple(NAMES)))
    assert spec_of(create_model("resnet8", weights=str(tmp_path / "model.safetensors"))).classes == tuple(NAMES)


def test_a_file_of_an_optimizer_alone_is_refused(tmp_path: Path, source: nn.Module) -> None:
    optimizer = torch.optim.Adam(source.parameters())
    source(torch.zeros(1, 3, 32, 32)).sum().backward()
    optimizer.step()
    torch.save(optimizer.state_dict(), tmp_path / "a.pth")
    with pytest.raises(TutelageError, match="no entry has the name of an entry of the model"):
        create_model("resnet8", weights=str(tmp_path / "a.pth"))
