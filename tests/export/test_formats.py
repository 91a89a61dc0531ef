"""Every format gives PyTorch's logits: on networks with what trips exporters, for every number of images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness.marks import need
from tutelage.data import Normalization, load_digits
from tutelage.export.formats.register import FORMATS
from tutelage.export.task import Task
from tutelage.models import ModelSpec
from tutelage.runs.student import Student


class Small(nn.Module):
    """Batch normalisation with statistics of its own, a residual sum, a depthwise and a 1×1 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        x = (x + self.pointwise(self.depthwise(x))).relu()
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def images() -> Tensor:
    """(40, 3, 8, 8) uint8 real digits."""
    return torch.from_numpy(load_digits()[0][:40] * 15.9).to(torch.uint8)[:, None].expand(-1, 3, -1, -1).contiguous()


@pytest.fixture(scope="module")
def student(images: Tensor) -> Student:
    """Random weights, but statistics of real images."""
    torch.manual_seed(0)
    network = Small()
    normalization = Normalization((0.3, 0.31, 0.32), (0.37, 0.38, 0.39), (8, 8))
    for _ in range(30):
        network(normalization(images))
    spec = ModelSpec("small", 4, (8, 8), (0.3, 0.31, 0.32), (0.37, 0.38, 0.39), classes=("a", "b", "c", "d"))
    return Student(network.eval(), spec, normalization.eval(), ("a", "b", "c", "d"), (8, 8), Path("nowhere"))


WRITTEN = ["onnx", "int8", "executorch", "torch_export"]


def write(student: Student, images: Tensor, folder: Path, preprocessing: bool, formats: list[str]) -> Path:
    """Write the formats whose packages are installed."""

    def calibration() -> Iterator[tuple[Tensor, Tensor]]:
        yield images, torch.zeros(len(images))

    task = Task(student, preprocessing, calibration)
    for name in formats:
        if all(map(find_spec, FORMATS[name].packages)):
            FORMATS[name].write(task, folder / FORMATS[name].file)
    return folder


@pytest.fixture(scope="module")
def whole(student: Student, images: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(student, images, tmp_path_factory.mktemp("whole"), True, WRITTEN)


@pytest.fixture(scope="module")
def bare(student: Student, images: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(student, images, tmp_path_factory.mktemp("bare"), False, ["onnx", "torch_export"])


def test_nothing_but_the_files_is_left(whole: Path, bare: Path) -> None:
    need(*WRITTEN)
    assert {path.name for path in whole.iterdir()} == {FORMATS[name].file for name in WRITTEN}
    assert {path.name for path in bare.iterdir()} == {"model.onnx", "model.pt2"}


@pytest.mark.parametrize("name", WRITTEN)
def test_logits_are_those_of_pytorch_for_any_number_of_images(
    name: str, student: Student, images: Tensor, whole: Path
) -> None:
    need(name)
    predict = FORMATS[name].predictor(whole / FORMATS[name].file, None)
    with torch.no_grad():
        wanted = student.classifier(images)
    for count in (1, 7, 32):
        got = predict(images[:count])
        assert got.shape == (count, 4)
        assert (got - wanted[:count]).abs().max() < (0.1 * wanted.abs().max() if name == "int8" else 1e-4)
    if name == "int8":
        assert (predict(images) - wanted).abs().max() > 1e-4, "nothing was rounded"


@pytest.mark.parametrize("name", ["onnx", "torch_export"])
def test_without_preprocessing_normalised_floats_go_in(name: str, student: Student, images: Tensor, bare: Path) -> None:
    need(name)
    path = bare / FORMATS[name].file
    with torch.no_grad():
        wanted = student.classifier(images)
    got = FORMATS[name].open(path)(student.normalization(images))
    assert (got - wanted).abs().max() < 1e-4
    assert torch.equal(got, FORMATS[name].predictor(path, student.normalization)(images))


def test_an_onnx_file_says_what_it_takes_and_names_no_folder_of_this_machine(whole: Path) -> None:
    onnx = pytest.importorskip("onnx")

    model = onnx.load(whole / "model.onnx")
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["classes"]) == ["a", "b", "c", "d"]
    described = json.loads(said["input"])
    assert (described["size"], described["dtype"], described["mean"]) == ([8, 8], "uint8", [0.3, 0.31, 0.32])
    (given,) = model.graph.input
    assert (given.name, given.type.tensor_type.shape.dim[0].dim_param) == ("images", "batch")
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert model.opset_import[0].version == 18
    assert not [name for name in ("model.onnx", "model.pt2") if b".py" in (whole / name).read_bytes()]


def test_int8_keeps_a_scale_for_each_channel(whole: Path) -> None:
    onnx = pytest.importorskip("onnx")

    graph = onnx.load(whole / "model-int8.onnx").graph
    kept = {tensor.name: tensor for tensor in graph.initializer}
    stored = {node.input[0]: node.input[1] for node in graph.node if node.op_type == "DequantizeLinear"}
    weights = {name: scale for name, scale in stored.items() if name in kept and len(kept[name].dims) == 4}
    assert len(weights) == 3
    assert all(kept[name].data_type == onnx.TensorProto.INT8 for name in weights)
    assert all(list(kept[scale].dims) == [8] for scale in weights.values())
