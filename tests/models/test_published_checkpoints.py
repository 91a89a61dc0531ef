"""Checkpoints in the layouts of RepDistiller, OFD, OpenMMLab and torchvision load, and compute what they computed.

The networks here have the names and the order of computation of the published code, written anew.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutelage import TutelageError, create_model
from tutelage.models import load_weights, weights_hash


def conv(channels: int, out: int, size: int, stride: int = 1, groups: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(channels, out, size, stride, size // 2, groups=groups, bias=bias)


class Parts(nn.Module):
    """A module of named parts."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class DownsampleBlock(Parts):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__(conv1=conv(channels, out, 3, stride), bn1=nn.BatchNorm2d(out))
        self.conv2, self.bn2 = conv(out, out, 3), nn.BatchNorm2d(out)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(conv(channels, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class RepDistillerResNet8(Parts):
    def __init__(self, classes: int) -> None:
        super().__init__(conv1=conv(3, 16, 3), bn1=nn.BatchNorm2d(16))
        self.layer1 = nn.Sequential(DownsampleBlock(16, 16, 1))
        self.layer2 = nn.Sequential(DownsampleBlock(16, 32, 2))
        self.layer3 = nn.Sequential(DownsampleBlock(32, 64, 2))
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.fc(x.mean((2, 3)))


class OFDBlock(DownsampleBlock):
    """The ReLU stands at the start of the next block."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return out + (x if self.downsample is None else self.downsample(x))


class OFDResNet8(RepDistillerResNet8):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.layer1 = nn.Sequential(OFDBlock(16, 16, 1))
        self.layer2 = nn.Sequential(OFDBlock(16, 32, 2))
        self.layer3 = nn.Sequential(OFDBlock(32, 64, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)))))
        return self.fc(F.relu(x).mean((2, 3)))


class WideBlock(Parts):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__(bn1=nn.BatchNorm2d(channels), conv1=conv(channels, out, 3, stride))
        self.bn2, self.conv2 = nn.BatchNorm2d(out), conv(out, out, 3)
        self.convShortcut = conv(channels, out, 1, stride) if channels != out else None

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return out + (x if self.convShortcut is None else self.convShortcut(active))


class WideGroup(Parts):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class WideResNet16x2(Parts):
    """RepDistiller's and OFD's."""

    def __init__(self, classes: int) -> None:
        super().__init__(conv1=conv(3, 16, 3))
        for number, (channels, out) in enumerate(((16, 32), (32, 64), (64, 128)), 1):
            blocks = nn.Sequential(WideBlock(channels, out, 1 if number == 1 else 2), WideBlock(out, out, 1))
            self.add_module(f"block{number}", WideGroup(layer=blocks))
        self.bn1, self.fc = nn.BatchNorm2d(128), nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


class RepDistillerVGG8(Parts):
    def __init__(self, classes: int) -> None:
        super().__init__()
        for number, (channels, out) in enumerate(((3, 64), (64, 128), (128, 256), (256, 512), (512, 512))):
            self.add_module(f"block{number}", nn.Sequential(conv(channels, out, 3, bias=True), nn.BatchNorm2d(out)))
        self.classifier = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        for block in (self.block0, self.block1, self.block2):
            x = F.max_pool2d(F.relu(block(x)), 2)
        x = F.relu(self.block4(F.relu(self.block3(x))))
        return self.classifier(x.mean((2, 3)))


class RepDistillerShuffleV2(Parts):
    def __init__(self, classes: int) -> None:
        super().__init__(conv1=conv(3, 24, 1), bn1=nn.BatchNorm2d(24))
        for number, (channels, out, blocks) in enumerate(((24, 116, 3), (116, 232, 7), (232, 464, 3)), 1):
            layers = (ShuffleSplit(out) for _ in range(blocks))
            self.add_module(f"layer{number}", nn.Sequential(ShuffleDown(channels, out), *layers))
        self.conv2, self.bn2, self.linear = conv(464, 1024, 1), nn.BatchNorm2d(1024), nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(F.relu(self.bn2(self.conv2(x))).mean((2, 3)))


def shuffled(x: Tensor) -> Tensor:
    return F.channel_shuffle(x, 2)


class ShuffleSplit(Parts):
    def __init__(self, channels: int) -> None:
        half = channels // 2
        super().__init__(conv1=conv(half, half, 1), bn1=nn.BatchNorm2d(half))
        self.conv2, self.bn2 = conv(half, half, 3, groups=half), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = conv(half, half, 1), nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        passed, half = x.chunk(2, 1)
        half = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(half)))))
        return shuffled(torch.cat([passed, F.relu(self.bn3(self.conv3(half)))], 1))


class ShuffleDown(Parts):
    def __init__(self, channels: int, out: int) -> None:
        half = out // 2
        super().__init__(conv1=conv(channels, channels, 3, 2, groups=channels), bn1=nn.BatchNorm2d(channels))
        self.conv2, self.bn2 = conv(channels, half, 1), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = conv(channels, half, 1), nn.BatchNorm2d(half)
        self.conv4, self.bn4 = conv(half, half, 3, 2, groups=half), nn.BatchNorm2d(half)
        self.conv5, self.bn5 = conv(half, half, 1), nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        left = F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = self.bn4(self.conv4(F.relu(self.bn3(self.conv3(x)))))
        return shuffled(torch.cat([left, F.relu(self.bn5(self.conv5(right)))], 1))


def sequence(*layers: nn.Module | None) -> nn.Sequential:
    """The layers, with a ReLU for each None."""
    return nn.Sequential(*(nn.ReLU() if layer is None else layer for layer in layers))


class Inverted(Parts):
    def __init__(self, channels: int, out: int, stride: int, expansion: int) -> None:
        wide = channels * expansion
        narrow = (conv(channels, wide, 1), nn.BatchNorm2d(wide), None)
        deep = (conv(wide, wide, 3, stride, wide), nn.BatchNorm2d(wide), None)
        super().__init__(conv=sequence(*narrow, *deep, conv(wide, out, 1), nn.BatchNorm2d(out)))
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + x if self.adds else self.conv(x)


class RepDistillerMobileHalf(Parts):
    def __init__(self, classes: int) -> None:
        super().__init__(conv1=sequence(conv(3, 16, 3, 2), nn.BatchNorm2d(16), None), blocks=nn.ModuleList())
        channels = 16
        settings = (
            (1, 8, 1, 1),
            (6, 12, 2, 1),
            (6, 16, 3, 2),
            (6, 32, 4, 2),
            (6, 48, 3, 1),
            (6, 80, 3, 2),
            (6, 160, 1, 1),
        )
        for expansion, out, count, stride in settings:
            inputs = [(channels, stride), *[(out, 1)] * (count - 1)]
            self.blocks.append(nn.Sequential(*(Inverted(each, out, step, expansion) for each, step in inputs)))
            channels = out
        self.conv2 = sequence(conv(160, 1280, 1), nn.BatchNorm2d(1280), None)
        self.classifier = nn.Sequential(nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(self.conv2(x).mean((2, 3)))


class OFDMobileNet(Parts):
    def __init__(self, classes: int) -> None:
        def separable(channels: int, out: int, stride: int) -> nn.Sequential:
            deep = (conv(channels, channels, 3, stride, channels), nn.BatchNorm2d(channels), None)
            return sequence(*deep, conv(channels, out, 1), nn.BatchNorm2d(out), None)

        widths = (32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)
        pairs = list(zip(widths, widths[1:]))
        blocks = [separable(*pair, 2 if number in (1, 3, 5, 11) else 1) for number, pair in enumerate(pairs)]
        super().__init__(model=sequence(sequence(conv(3, 32, 3, 2), nn.BatchNorm2d(32), None), *blocks))
        self.fc = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.model(x).mean((2, 3)))


def trained(network: nn.Module) -> nn.Module:
    """The network with statistics and weights that no two layers share."""
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.add_(0.02 * torch.rand_like(value))
    return network.eval()


def same(theirs: nn.Module, name: str, path: Path, size: int = 32) -> list[str]:
    """Loads the file as ``name``, checks that it computes what ``theirs`` does, and returns what was done for that."""
    ours = create_model(name, weights=str(path))
    images = torch.rand(2, 3, size, size)
    with torch.no_grad():
        expected = theirs(images)
        torch.testing.assert_close(ours.eval()(images), expected, rtol=1e-4, atol=1e-5)
    assert expected.std() > 1e-3
    return list(ours.spec.notes)


REPDISTILLER = {
    "resnet8": (RepDistillerResNet8, "residual blocks with a 'downsample'"),
    "wrn_16_2": (WideResNet16x2, "the wide ResNet of RepDistiller and OFD"),
    "vgg8": (RepDistillerVGG8, "RepDistiller's VGG"),
    "shufflenet_v2": (RepDistillerShuffleV2, "RepDistiller's ShuffleNetV2"),
    "mobilenet_v2_half": (RepDistillerMobileHalf, "RepDistiller's MobileNetV2"),
}


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    torch.manual_seed(0)
    yield


@pytest.mark.parametrize("name", REPDISTILLER)
def test_repdistiller(tmp_path: Path, name: str) -> None:
    build, layout = REPDISTILLER[name]
    theirs = trained(build(100))
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9)
    # A score is a tensor beside the weights there, and in the last checkpoint the options are.
    best = {"epoch": 240, "model": theirs.state_dict(), "best_acc": torch.tensor([75.6]), "optimizer": {}}
    last = {"opt": Namespace(model=name, lr_decay_epochs=[150]), "model": theirs.state_dict()}
    for content in (best, {**last, "optimizer": optimizer.state_dict()}):
        torch.save(content, tmp_path / "ckpt.pth")
        notes = same(theirs, name, tmp_path / "ckpt.pth")
        assert notes[0] == "used the state dict 'model'"
        assert any(layout in note for note in notes[1:])


def test_the_names_are_those_of_the_published_code() -> None:
    found = {name for build, _ in REPDISTILLER.values() for name in build(10).state_dict()}
    assert found >= {
        *("layer2.0.downsample.0.weight", "layer3.0.downsample.1.running_var", "block1.layer.0.convShortcut.weight"),
        *("block3.layer.1.bn2.bias", "block4.1.weight", "classifier.bias", "layer1.0.conv5.weight", "linear.weight"),
        *("layer3.2.bn3.running_mean", "blocks.6.0.conv.7.weight", "blocks.0.0.conv.0.weight", "conv2.1.bias"),
        *("classifier.0.weight", "bn1.weight", "fc.weight"),
    }
    assert set(OFDMobileNet(10).state_dict()) >= {"model.0.0.weight", "model.13.4.bias", "fc.bias"}


@pytest.mark.parametrize(
    ("build", "name", "wrapped"),
    [
        (WideResNet16x2, "wrn_16_2", lambda state: {"model": state}),
        (OFDResNet8, "resnet8", lambda state: {f"module.{key}": value for key, value in state.items()}),
        (
            OFDMobileNet,
            "mobilenet_v1",
            lambda state: {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}},
        ),
    ],
    ids=["wide", "resnet", "mobilenet"],
)
def test_ofd(tmp_path: Path, build: Any, name: str, wrapped: Any) -> None:
    theirs = trained(build(100))
    torch.save(wrapped(theirs.state_dict()), tmp_path / "teacher.pt")
    assert len(same(theirs, name, tmp_path / "teacher.pt", size=64)) == 2 + (name == "mobilenet_v1") * 2


def test_ofds_pyramidnet_has_the_names_here(tmp_path: Path) -> None:
    theirs = create_model("pyramidnet110_a84", 100)
    state = {f"module.{key}": value for key, value in theirs.state_dict().items()}
    assert "module.layer3.17.bn3.weight" in state and "module.bn_final.weight" in state
    torch.save({"state_dict": state, "best_err1": torch.tensor(15.6)}, tmp_path / "pyramid.tar")
    ours = create_model("pyramidnet110_a84", weights=str(tmp_path / "pyramid.tar"))
    assert weights_hash(ours) == weights_hash(theirs)
    assert ours.spec.notes == ("used the state dict 'state_dict'", "removed the prefix 'module.'")


def openmmlab(state: dict[str, Tensor], before: str = "") -> dict[str, Tensor]:
    return {
        before + (f"head.{key}" if key.startswith("fc.") else f"backbone.{key}"): value for key, value in state.items()
    }


def test_openmmlab(tmp_path: Path) -> None:
    theirs = trained(create_model("torchvision/resnet18", 7))
    meta = {"epoch": 100, "cfg": "model = dict()", "seed": np.float64(1.5), "CLASSES": ["a"]}
    torch.save({"meta": meta, "state_dict": openmmlab(theirs.state_dict())}, tmp_path / "mm.pth")
    notes = same(theirs, "torchvision/resnet18", tmp_path / "mm.pth")
    assert notes[1:] == ["removed the prefix 'backbone.'", "renamed the entries of OpenMMLab's classifier"]


def test_a_student_of_mmrazor_is_told_from_its_teacher(tmp_path: Path) -> None:
    student, teacher = trained(RepDistillerResNet8(7)), trained(create_model("resnet14", 7))
    state = openmmlab(student.state_dict(), "architecture.") | openmmlab(teacher.state_dict(), "teacher.")
    torch.save({"meta": {}, "state_dict": state}, tmp_path / "razor.pth")
    notes = same(student, "resnet8", tmp_path / "razor.pth")
    assert notes[0] == "used the state dict 'state_dict.architecture'" and len(notes) == 4
    notes = same(teacher, "resnet14", tmp_path / "razor.pth")
    assert notes[0] == "used the state dict 'state_dict.teacher'"


def test_torchvisions_reference(tmp_path: Path) -> None:
    theirs = trained(create_model("torchvision/mobilenet_v3_small", 7))
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 30)
    average = {f"module.{key}": value + 1 for key, value in theirs.state_dict().items()}
    checkpoint = {
        "model": theirs.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": schedule.state_dict(),
        "epoch": 599,
        "args": Namespace(model="mobilenet_v3_small", output_dir=Path("runs"), lr=0.1),
        "model_ema": {"n_averaged": torch.tensor(9), **average},
    }
    torch.save(checkpoint, tmp_path / "checkpoint.pth")
    notes = same(theirs, "torchvision/mobilenet_v3_small", tmp_path / "checkpoint.pth", size=64)
    assert notes == ["used the state dict 'model'"]


def test_what_is_beside_the_weights_is_not_rebuilt(tmp_path: Path) -> None:
    """Options are read as nothing at all, whatever they hold; any other object is refused."""
    state = create_model("resnet8").state_dict()
    torch.save({"args": Namespace(where=Path("x"), score=np.float32(3)), "model": state}, tmp_path / "a.pth")
    load_weights(create_model("resnet8"), tmp_path / "a.pth")
    torch.save({"args": Namespace(loss=nn.CrossEntropyLoss()), "model": state}, tmp_path / "b.pth")
    with pytest.raises(TutelageError, match="not a safe weights file"):
        load_weights(create_model("resnet8"), tmp_path / "b.pth")


def test_a_layout_that_is_unknown_names_the_nearest_entry(tmp_path: Path) -> None:
    state = {key.replace("conv1", "convolution1"): value for key, value in create_model("resnet8").state_dict().items()}
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(TutelageError, match=r"nearest to conv1.weight in the file: convolution1.weight"):
        create_model("resnet8", weights=str(tmp_path / "a.pth"))
