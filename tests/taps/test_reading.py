"""What tapped() reads: names, the values before activations, in-place traps, errors, the cut at the deepest tap."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional
from torchvision.models.feature_extraction import get_graph_node_names

from taps.networks import Buffered, Careless, SkipsWhatReluChanged
from tutelage.errors import TutelageError
from tutelage.taps import tapped


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=7)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_inplace_relu_does_not_overwrite_the_sum(resnet: nn.Module, images: torch.Tensor) -> None:
    _, features = tapped(resnet, ["layer3.1.add", "layer3.1.relu_1"]).eval()(images)
    before, after = features["layer3.1.add"], features["layer3.1.relu_1"]
    assert (before < 0).any()
    assert torch.equal(before.relu(), after)


def test_names(resnet: nn.Module, images: torch.Tensor) -> None:
    taps = ["layer3", "layer3:in", "layer2", "layer3.1.relu_1", "layer3.1.bn2", "layer3.1.relu_0", "fc:in", "flatten"]
    logits, features = tapped(resnet, taps).eval()(images)
    assert list(features) == taps
    assert torch.equal(features["layer3"], features["layer3.1.relu_1"])
    assert torch.equal(features["layer3:in"], features["layer2"])
    assert torch.equal(features["fc:in"], features["flatten"])
    assert (features["layer3.1.bn2"] < 0).any() and (features["layer3.1.relu_0"] >= 0).all()
    with torch.no_grad():
        assert torch.equal(logits, resnet.eval()(images))


def test_functions_are_named_as_torchvision_names_them(images: torch.Tensor) -> None:
    model = torchvision.models.shufflenet_v2_x0_5().eval()
    names = [name for name in get_graph_node_names(model)[1] if "cat" in name or "chunk" in name or "view" in name]
    _, features = tapped(model, [name for name in names if "cat" in name]).eval()(images)
    assert len(features) == 16
    _, features = tapped(model, [name for name in names if "view" in name]).eval()(images)
    assert len(features) == 32


@pytest.mark.parametrize(
    ("tap", "said"),
    [
        ("layer3.1.relu", "runs twice in one forward pass; name one call: layer3.1.relu_0, layer3.1.relu_1"),
        ("layer3.1.relu:in", "layer3.1.relu_1:in"),
        ("layre3", "did you mean layer3"),
        ("module.layer4", "did you mean layer4"),
        ("qqqq", "the network has .*layer1, layer2"),
        ("", "no tap ''"),
    ],
)
def test_errors_name_the_way_out(resnet: nn.Module, tap: str, said: str) -> None:
    with pytest.raises(TutelageError, match=said):
        tapped(resnet, [tap])


def test_nothing_to_compute(resnet: nn.Module) -> None:
    with pytest.raises(TutelageError, match="nothing to compute"):
        tapped(resnet, [], logits=False)


def test_value_before_the_activation_of_timm_norms(images: torch.Tensor) -> None:
    model = timm.create_model("mobilenetv3_small_050", num_classes=5).eval()
    expected: list[torch.Tensor] = []
    norm = model.blocks[1][0].bn1
    model.blocks[1][0].conv_pw.register_forward_hook(
        lambda _, args, output: expected.append(
            functional.batch_norm(output, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
    )
    before, after = "blocks.1.0.bn1.norm", "blocks.1.0.bn1"
    _, features = tapped(model, [before, after])(images)
    model(images)
    torch.testing.assert_close(features[before], expected[0])
    assert torch.equal(functional.relu(features[before]), features[after])


def test_functional_inplace_calls(images: torch.Tensor) -> None:
    model = Careless().eval()
    taps = ["stem", "second", "add", "act_1", "mul", "sub"]
    logits, features = tapped(model, taps)(images)
    x = model.stem(images)
    assert torch.equal(features["stem"], x) and (x < 0).any()
    y = model.second(model.block(x.relu()).relu())
    assert torch.equal(features["second"], y)
    assert torch.equal(features["add"], y + x.relu()) and (features["add"] < 0).any()
    assert torch.equal(features["act_1"], features["add"].relu())
    assert torch.equal(features["mul"], features["act_1"] * 2)
    assert torch.equal(features["sub"], features["mul"] - 0.5)
    assert torch.equal(logits, model(images))


def test_function_and_module_of_one_name() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.relu(self.relu(functional.relu(x) - 1) - 1)

    _, features = tapped(Both(), ["relu_0", "relu_1", "relu_2"])(torch.full((1, 2), 3.0))
    assert [features[f"relu_{n}"].max().item() for n in range(3)] == [2, 3, 1]
    with pytest.raises(TutelageError, match="relu_0, relu_2"):
        tapped(Both(), ["relu"])


def test_inplace_module_that_changes_the_shortcut(images: torch.Tensor) -> None:
    model = SkipsWhatReluChanged()
    logits, features = tapped(model, ["conv"])(images)
    assert torch.equal(logits, model(images))
    assert torch.equal(features["conv"], model.conv(images))


def test_cut_at_the_deepest_tap(resnet: nn.Module, images: torch.Tensor) -> None:
    reader = tapped(resnet, ["layer2", "layer1"], logits=False)
    logits, features = reader(images)
    assert logits is None and features["layer2"].shape == (2, 128, 8, 8)
    kept = {name for name, _ in resnet.named_parameters() if not name.startswith(("layer3", "layer4", "fc"))}
    assert {name for name, _ in reader.named_parameters()} == kept
    assert sum(value.numel() for value in reader.parameters()) == 683_072


def test_only_used_tensors_of_a_module_are_parameters(images: torch.Tensor) -> None:
    reader = tapped(Buffered(), ["conv", "mul_2"], logits=False)
    assert {name for name, _ in reader.named_parameters()} == {"conv.weight", "conv.bias", "early"}
    assert {name for name, _ in tapped(Careless(), []).named_parameters()}.isdisjoint({"unused.weight"})


def test_channels_last(resnet: nn.Module, images: torch.Tensor) -> None:
    batch = images.to(memory_format=torch.channels_last)
    _, features = tapped(resnet, ["layer3"]).eval()(batch)
    assert features["layer3"].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        features["layer3"], tapped(resnet, ["layer3"]).eval()(images)[1]["layer3"], rtol=1e-3, atol=1e-4
    )


def test_several_outputs_give_the_main_logits() -> None:
    model = torchvision.models.googlenet(num_classes=3, init_weights=False, aux_logits=True).train()
    logits, _ = tapped(model, [])(torch.randn(2, 3, 64, 64))
    assert logits.shape == (2, 3)


@pytest.mark.filterwarnings("ignore")
def test_compiles_without_graph_breaks(images: torch.Tensor) -> None:
    model = torchvision.models.mobilenet_v3_small(num_classes=3)
    reader = tapped(model, ["features.3"]).eval()
    compiled = torch.compile(reader, fullgraph=True, backend="eager")
    with torch.no_grad():
        logits, features = compiled(images)
        expected = reader(images)
    assert torch.equal(logits, expected[0])
    assert torch.equal(features["features.3"], expected[1]["features.3"])
