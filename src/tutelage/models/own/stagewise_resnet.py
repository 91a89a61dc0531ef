"""ResNets with fastai's pooling, from *Stagewise Knowledge Distillation* (Kulkarni et al. 2020, IvLabs)."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from tutelage.models.own.concat_pool import ConcatPool
from tutelage.models.own.initialization import initialize
from tutelage.models.own.register import networks
from tutelage.models.own.resnet import STEM_WIDTH, basic_block, residual_stages

#: Basic blocks in each of the four levels, by depth.
BLOCKS = {
    10: (1, 1, 1, 1),
    14: (1, 1, 2, 2),
    18: (2, 2, 2, 2),
    20: (2, 2, 3, 2),
    26: (3, 3, 3, 3),
    34: (3, 4, 6, 3),
}
_HIDDEN = 256


class StagewiseResNet(nn.Module):
    """ImageNet ResNet of basic blocks with ``ConcatPool`` and two linear layers.

    The head is 1024 → 256, ReLU, 256 → num_classes, without BN or dropout. All depths have the same widths, so a
    student's levels match those of the teacher (depth 34) without adapters.

    Input (B, 3, H, W) of any size from 32 px up, designed for 224x224; output (B, num_classes) logits. The first of
    five taps for distillation is ``relu``, before the max pooling: (B, 64, H/2, W/2). The others are the levels
    ``layer1`` to ``layer4``, after a ReLU: (B, 64, H/4, W/4), (B, 128, H/8, W/8), (B, 256, H/16, W/16),
    (B, 512, H/32, W/32).
    Convolutions are initialized from Kaiming normal (fan out), batch normalization with weight 1, bias 0.

    Args:
        depth: One of ``BLOCKS``: 10, 14, 18, 20, 26, 34.
        num_classes: Number of classes.
    """

    usual_size = (224, 224)

    def __init__(self, depth: int, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM_WIDTH, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_WIDTH)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = residual_stages(basic_block, STEM_WIDTH, BLOCKS[depth])
        self.pool = ConcatPool()
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(2 * 8 * STEM_WIDTH, _HIDDEN)
        self.relu_head = nn.ReLU()
        self.fc2 = nn.Linear(_HIDDEN, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.relu_head(self.fc1(self.flatten(self.pool(x))))
        return self.fc2(x)


for _depth in BLOCKS:
    networks.register(f"stagewise_resnet{_depth}")(partial(StagewiseResNet, _depth))
