"""What the blocks of this package's networks compute, against torchvision, the published code's words, or by hand."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models import vgg

from tutelage.models import create_model
from tutelage.models.own.concat_pool import ConcatPool
from tutelage.models.own.fitnet import WIDTHS as FITNETS
from tutelage.models.own.fitnet import FitNet, Maxout, MaxoutCifar, MaxoutConvolution
from tutelage.models.own.mobilenet_v2 import InvertedResidual
from tutelage.models.own.pyramidnet import PyramidBasic, PyramidBottleneck
from tutelage.models.own.residual_cnn import ConvLayer
from tutelage.models.own.shuffle import ChannelShuffle
from tutelage.models.own.shufflenet_v1 import ShuffleBlock
from tutelage.models.own.shufflenet_v2 import SplitBlock


def perturbed(model: nn.Module) -> nn.Module:
    """Returns the model in eval mode with batch normalisations that do something."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def copy_in_order(source: list[nn.Module], target: list[nn.Module]) -> None:
    """Copies parameters and buffers, which must agree in shape, in the order of definition."""
    values = [list(chain.from_iterable(module.state_dict().values() for module in side)) for side in (source, target)]
    assert [value.shape for value in values[0]] == [value.shape for value in values[1]]
    for old, new in zip(*values):
        new.copy_(old)


def through(modules: list[nn.Module], x: Tensor) -> Tensor:
    with torch.no_grad():
        for module in modules:
            x = module(x)
    return x


@pytest.mark.parametrize(
    ("ours", "theirs", "channels"),
    [
        ("cifar_resnet50", "resnet50", 64),
        ("stagewise_resnet18", "resnet18", 64),
        ("shufflenet_v2", "shufflenet_v2_x1_0", 24),
    ],
)
def test_stages_compute_what_torchvision_computes(ours: str, theirs: str, channels: int) -> None:
    model, reference = create_model(ours).eval(), perturbed(torchvision.models.get_model(theirs))
    names = [f"layer{number}" for number in (1, 2, 3, 4)]
    stages = [getattr(model, name) for name in names if hasattr(model, name)]
    names = names if theirs.startswith("resnet") else ["stage2", "stage3", "stage4"]
    expected = [getattr(reference, name) for name in names]
    copy_in_order(expected, stages)
    images = torch.randn(1, channels, 15, 12)
    torch.testing.assert_close(through(stages, images), through(expected, images))


def test_vgg_blocks_compute_what_torchvision_computes() -> None:
    model, reference = (
        create_model("vgg13").eval(),
        perturbed(vgg.make_layers(vgg.cfgs["B"], batch_norm=True)[:27]),
    )
    copy_in_order([reference], [model.block0, model.block1, model.block2, model.block3])
    images = torch.randn(1, 3, 16, 24)
    blocks = [model.block0, model.pool0, model.block1, model.pool1, model.block2, model.pool2, model.block3]
    torch.testing.assert_close(through(blocks, images), through([reference], images))


def test_pyramid_basic_block() -> None:
    block = perturbed(PyramidBasic(4, 7, 2))
    x = torch.randn(2, 4, 5, 6)
    out = block.bn2(block.conv1(block.bn1(x)))
    out = block.bn3(block.conv2(out.clamp(min=0)))
    shortcut = torch.cat([F.avg_pool2d(x, 2, ceil_mode=True), torch.zeros(2, 3, 3, 3)], 1)
    torch.testing.assert_close(block(x), out + shortcut)


def test_pyramid_bottleneck() -> None:
    block = perturbed(PyramidBottleneck(4, 3, 1))
    x = torch.randn(2, 4, 5, 6)
    out = block.bn2(block.conv1(block.bn1(x))).clamp(min=0)
    out = block.bn3(block.conv2(out)).clamp(min=0)
    out = block.bn4(block.conv3(out))
    torch.testing.assert_close(block(x), out + F.pad(x, (0, 0, 0, 0, 0, 8)))


def test_widths_of_pyramidnets() -> None:
    with torch.device("meta"):
        basic, bottleneck = create_model("pyramidnet110_a84"), create_model("pyramidnet200_a240")
    assert [len(stage) for stage in (basic.layer1, basic.layer2, bottleneck.layer3)] == [18, 18, 22]
    first = [getattr(bottleneck, f"layer{number}")[0].conv1.out_channels for number in (1, 2, 3)]
    assert first == [20, 100, 180]
    widths = [block.conv1.out_channels for stage in (basic.layer1, basic.layer2, basic.layer3) for block in stage]
    assert (widths[0], widths[1], widths[2], widths[-1]) == (18, 19, 21, 100)  # 17.6, 19.1, 20.7, 100


def test_channel_shuffle() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert ChannelShuffle(3)(x).flatten().tolist() == [0, 2, 4, 1, 3, 5]
    assert ChannelShuffle(2)(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_shuffle_blocks() -> None:
    x = torch.randn(2, 48, 6, 6)
    block = perturbed(ShuffleBlock(48, 96, 2))
    assert torch.equal(block(x)[:, 48:], torch.relu(F.avg_pool2d(x, 3, stride=2, padding=1)))
    assert (ShuffleBlock(24, 48, 2).conv1.groups, block.conv1.groups, block.conv3.groups) == (1, 3, 3)
    split = perturbed(SplitBlock(48))
    out = split(x)
    assert torch.equal(out[:, ::2], x[:, :24])
    assert torch.equal(out[:, 1::2], split.branch(x[:, 24:]))


def test_inverted_residual_is_linear_at_its_end() -> None:
    x = torch.randn(2, 8, 6, 6)
    block = perturbed(InvertedResidual(8, 8, 1, 6))
    for norm in (block.bn1, block.bn2):  # dead ReLUs: the branch is a constant, bn3 of 0
        nn.init.constant_(norm.bias, -1e3)
    branch = block(x) - x
    torch.testing.assert_close(branch, branch[:1, :, :1, :1].expand_as(branch), rtol=0, atol=1e-5)
    assert branch.min() < 0
    assert not InvertedResidual(8, 8, 2, 6).residual and not InvertedResidual(8, 12, 1, 6).residual


def test_concat_pool_gives_maxima_first() -> None:
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(ConcatPool()(x).flatten(1), torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1))


def published_plain_cnn() -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in ((3, 64), (64, 64), (64, 128), (128, 256), (256, 512)):
        layers += [nn.Conv2d(before, after, 3, 1, 1), nn.MaxPool2d(2, 2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512 * 7 * 7, 512), nn.Linear(512, 10))


def test_plain_cnn_is_the_published_student() -> None:
    model, reference = create_model("plain_cnn"), published_plain_cnn()
    copy_in_order([reference], [model])
    images = torch.randn(1, 3, 224, 224)
    torch.testing.assert_close(through([model], images), through([reference], images))


def test_adaptive_plain_cnn_has_activations() -> None:
    model = create_model("plain_cnn_adaptive_8")
    activations = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    assert len(activations) == 6
    images = torch.randn(2, 3, 64, 64)
    y = images
    for block in (model.block1, model.block2, model.block3, model.block4, model.block5):
        y = F.max_pool2d(torch.relu(block[0](y)), 2)
    expected = model.fc2(torch.relu(model.fc1(y.mean((2, 3)))))
    torch.testing.assert_close(model(images), expected)


def test_residual_cnn_by_hand() -> None:
    model = perturbed(create_model("residual_cnn_8"))
    images = torch.randn(2, 3, 64, 64)

    def conv_layer(layer: ConvLayer, x: Tensor, stride: int = 1) -> Tensor:
        weight = layer.conv.weight
        return layer.bn(torch.relu(F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)))

    x = F.max_pool2d(conv_layer(model.stem, images, 2), 3, 2, 1)
    for stage, stride in ((model.layer1, 1), (model.layer2, 2), (model.layer3, 2), (model.layer4, 2)):
        x = conv_layer(stage[0], x, stride)
        x = x + conv_layer(stage[1].conv1, x)
    pooled = torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)
    torch.testing.assert_close(model(images), model.fc2(model.fc1(pooled)))


def test_maxout_takes_the_larger_of_two_convolutions() -> None:
    assert Maxout(3)(torch.tensor([[1.0, 5.0, 2.0, -3.0, -1.0, -2.0]])).tolist() == [[5.0, -1.0]]
    layer = MaxoutConvolution(3, 4, 3, padding=1)
    x = torch.randn(2, 3, 5, 6)
    pieces = layer.conv(x)
    torch.testing.assert_close(layer(x), torch.maximum(pieces[:, ::2], pieces[:, 1::2]))


def test_fitnets_of_the_paper() -> None:
    """Weights without biases, as the paper counts them; layers; multiplications of a 32x32 image in millions."""

    def weights(model: nn.Module) -> int:
        return sum(value.numel() for value in model.parameters() if value.ndim > 1)

    with torch.device("meta"):
        teacher = MaxoutCifar(hidden_pieces=2)
        students = {number: FitNet(widths, hidden_pieces=2) for number, widths in FITNETS.items()}
    assert weights(teacher) == 9_044_360  # "9 M"
    counts = {number: weights(student) for number, student in students.items()}
    assert counts == {1: 249_576, 2: 861_928, 3: 1_503_304, 4: 2_544_712}  # "250 K", "862 K", "1.6 M" (not so), "2.5 M"
    layers = {
        number: sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in student.modules())
        for number, student in students.items()
    }
    assert layers == {1: 11, 2: 11, 3: 13, 4: 19}


def test_maps_of_hint_and_guided_layer() -> None:
    features: dict[str, Tensor] = {}
    for name in ("maxout_cifar", "fitnet_4"):
        model = create_model(name)
        model.pool2.register_forward_hook(lambda _m, _i, out, name=name: features.update({name: out}))
        model(torch.zeros(1, 3, 32, 32))
    assert features["maxout_cifar"].shape == (1, 192, 7, 7)
    assert features["fitnet_4"].shape == (1, 80, 8, 8)


def test_maxout_networks_start_neither_vanishing_nor_exploding() -> None:
    torch.manual_seed(0)
    for name in ("maxout_cifar", "fitnet_4"):
        logits = create_model(name)(torch.randn(4, 3, 32, 32))
        assert 0.1 < logits.square().mean() < 100


def test_initial_values() -> None:
    torch.manual_seed(0)
    vgg11, mobile = create_model("vgg11"), create_model("mobilenet_v2_half")
    assert vgg11.block4[0].weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    assert not vgg11.block4[0].bias.any()
    for head in (vgg11.fc, mobile.fc):
        assert head.weight.std().item() == pytest.approx(0.01, rel=0.05)
        assert not head.bias.any()
    pyramid = create_model("pyramidnet110_a84")
    assert pyramid.layer3[17].conv2.weight.std().item() == pytest.approx((2 / (9 * 100)) ** 0.5, rel=0.01)
    layer = create_model("residual_cnn").layer4[0]
    assert layer.conv.weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)  # fan in
    assert torch.equal(layer.bn.bias, torch.full((512,), 1e-3))
