"""The networks of this package: sizes as published, shapes, and what taps rely on."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn

from tutelage.errors import TutelageError
from tutelage.models import count_macs, create_model, parameter_count

RESNETS = {  # depth: (A/C10, B/C10, A/C100, B/C100)
    8: (75_290, 78_042, 81_140, 83_892),
    14: (172_506, 175_258, 178_356, 181_108),
    20: (269_722, 272_474, 275_572, 278_324),
    32: (464_154, 466_906, 470_004, 472_756),
    44: (658_586, 661_338, 664_436, 667_188),
    56: (853_018, 855_770, 858_868, 861_620),
    110: (1_727_962, 1_730_714, 1_733_812, 1_736_564),
}
WIDE = {  # name: (C10, C100)
    "wrn_16_1": (175_066, 180_916),
    "wrn_16_2": (691_674, 703_284),
    "wrn_16_4": (2_748_890, 2_772_020),
    "wrn_22_4": (4_298_970, 4_322_100),
    "wrn_28_2": (1_467_610, 1_479_220),
    "wrn_28_4": (5_849_050, 5_872_180),
    "wrn_28_10": (36_479_194, 36_536_884),
    "wrn_40_1": (563_930, 569_780),
    "wrn_40_2": (2_243_546, 2_255_156),
    "wrn_40_4": (8_949_210, 8_972_340),
}
SMALL = ("resnet8", "resnet14_a", "resnet8x4", "wrn_16_1", "wrn_16_2")


def record(model: nn.Module, names: tuple[str, ...], images: torch.Tensor) -> dict[str, torch.Tensor]:
    outputs: dict[str, torch.Tensor] = {}
    for name in names:
        model.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: outputs.update({name: out}))
    with torch.no_grad():
        outputs["logits"] = model.eval()(images)
    return outputs


@pytest.mark.parametrize("depth", RESNETS)
def test_parameters_of_resnets(depth: int) -> None:
    built = [create_model(f"resnet{depth}{suffix}", classes) for classes in (10, 100) for suffix in ("_a", "")]
    assert tuple(map(parameter_count, built)) == RESNETS[depth]


@pytest.mark.parametrize(("name", "parameters"), [("resnet8x4", 1_233_540), ("resnet32x4", 7_433_860)])
def test_parameters_of_wider_resnets(name: str, parameters: int) -> None:
    assert parameter_count(create_model(name, 100)) == parameters


@pytest.mark.parametrize("name", WIDE)
def test_parameters_of_wide_resnets(name: str) -> None:
    with torch.device("meta"):
        assert tuple(parameter_count(create_model(name, classes)) for classes in (10, 100)) == WIDE[name]


def test_a_size_of_wide_resnet_that_is_not_listed() -> None:
    model = create_model("wrn_10_3", 7)
    assert len(model.block1) == 1
    assert model.fc.in_features == 3 * 64
    with pytest.raises(TutelageError, match="'wrn_41_2'.*wrn_40_2"):
        create_model("wrn_41_2")


@pytest.mark.parametrize(("name", "widths"), [("resnet8", (16, 32, 64)), ("resnet8x4", (64, 128, 256))])
@pytest.mark.parametrize("size", [(32, 32), (28, 40)])
def test_shapes_of_resnet_stages(name: str, widths: tuple[int, ...], size: tuple[int, int]) -> None:
    stages = ("layer1", "layer2", "layer3")
    outputs = record(create_model(name, 5), stages, torch.randn(2, 3, *size))
    height, width = size
    for level, (stage, channels) in enumerate(zip(stages, widths)):
        assert outputs[stage].shape == (2, channels, height >> level, width >> level)
        assert outputs[stage].min() >= 0
    assert outputs["logits"].shape == (2, 5)


def test_wide_resnet_stages_are_raw_sums() -> None:
    model = create_model("wrn_16_2", 5)
    stages = ("block1", "block2", "block3", "bn", "relu")
    outputs = record(model, stages, torch.randn(2, 3, 32, 32))
    shapes = [tuple(outputs[stage].shape[1:]) for stage in stages[:3]]
    assert shapes == [(32, 32, 32), (64, 16, 16), (128, 8, 8)]
    assert all(outputs[stage].min() < 0 for stage in stages[:4])
    expected = model.fc(torch.relu(model.bn(outputs["block3"])).mean(dim=(2, 3)))
    torch.testing.assert_close(outputs["logits"], expected)


@pytest.mark.parametrize("name", SMALL)
def test_every_relu_is_its_own_module_and_not_in_place(name: str) -> None:
    model = create_model(name)
    relus = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    calls: Counter[int] = Counter()
    for relu in relus:
        relu.register_forward_hook(lambda module, _i, _o: calls.update([id(module)]))
    model(torch.randn(2, 3, 8, 8))
    assert not any(relu.inplace for relu in relus)
    assert [calls[id(relu)] for relu in relus] == [1] * len(relus)


def test_shortcut_a_pads_subsampled_input_with_zero_channels() -> None:
    shortcut = create_model("resnet8_a").layer2[0].shortcut
    x = torch.randn(2, 16, 6, 6)
    out = shortcut(x)
    assert torch.equal(out[:, :16], x[:, :, ::2, ::2])
    assert out.shape == (2, 32, 3, 3)
    assert not out[:, 16:].any()


def test_shortcut_of_wide_resnet_reads_the_activated_input() -> None:
    block = create_model("wrn_16_2").eval().block2[0]
    x = torch.randn(2, 32, 8, 8)
    activated = torch.relu(block.bn1(x))
    branch = block.conv2(torch.relu(block.bn2(block.conv1(activated))))
    torch.testing.assert_close(block(x), branch + block.shortcut(activated))


def test_initial_values() -> None:
    torch.manual_seed(0)
    wide, resnet = create_model("wrn_16_4"), create_model("resnet32x4")
    for weight in (wide.block3[1].conv1.weight, resnet.layer3[1].conv1.weight):
        assert weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)
    # A strided shortcut tells fan-out (k² C_out) from fan-in.
    assert resnet.layer3[0].shortcut[0].weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)
    assert not wide.fc.bias.any()


@pytest.mark.parametrize(("name", "macs"), [("resnet20", 40_818_624 - 90 * 64), ("resnet20_a", 40_556_480 - 90 * 64)])
def test_multiply_accumulates(name: str, macs: int) -> None:
    # Counted by hand for 100 classes from the convolutions' shapes; here with a head of 10.
    model = create_model(name, 10)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert count_macs(model, (32, 32)) == pytest.approx(macs, rel=0.001)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_multiply_accumulates_include_attention() -> None:
    # 4.41 G is what torchvision publishes for it; without the attention's own products it would be 4.37.
    assert count_macs(create_model("torchvision/vit_b_32"), (224, 224)) == pytest.approx(4.409e9, rel=0.001)
