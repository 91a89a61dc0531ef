"""Rename the entries of other projects' checkpoints to tutelage's names, by small tables of rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class NamingScheme:
    """Names of another project for one kind of network, as rules (pattern, replacement).

    The first rule that matches a name is applied.
    """

    name: str
    rules: tuple[tuple[str, str], ...]

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict under tutelage's names; entries that match no rule keep their names."""
        return {self._renamed(name): tensor for name, tensor in state.items()}

    def _renamed(self, name: str) -> str:
        for pattern, replacement in self.rules:
            renamed, count = re.subn(pattern, replacement, name, count=1)
            if count:
                return renamed
        return name


def _block(there: str, here: str, *names: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the rules of a block, one per layer."""
    return tuple((rf"^{there}{re.escape(old)}\.", f"{here}{new}.") for old, new in names)


#: tutelage's names for layers 0, 1, 3, 4, … of a sequence conv, bn, relu, conv, bn, ….
_TWO_CONVOLUTIONS = (("0", "conv1"), ("1", "bn1"), ("3", "conv2"), ("4", "bn2"))
_THREE_CONVOLUTIONS = (*_TWO_CONVOLUTIONS, ("6", "conv3"), ("7", "bn3"))

NAMING_SCHEMES = (
    NamingScheme("OpenMMLab's classifier", ((r"^head\.fc\.", "fc."),)),
    NamingScheme("residual blocks with a 'downsample', as torchvision's have", ((r"\.downsample\.", ".shortcut."),)),
    NamingScheme(
        "the wide ResNet of RepDistiller and OFD",
        ((r"^bn1\.", "bn."), (r"^(block\d)\.layer\.(\d+)\.convShortcut\.", r"\1.\2.shortcut."))
        + ((r"^(block\d)\.layer\.", r"\1."),),
    ),
    NamingScheme("RepDistiller's VGG", ((r"^classifier\.", "fc."),)),
    NamingScheme(
        "RepDistiller's ShuffleNetV2",
        (
            *_block(r"(layer\d)\.0\.", r"\1.0.shortcut.", ("conv1", "0"), ("bn1", "1"), ("conv2", "2"), ("bn2", "3")),
            *_block(r"(layer\d)\.0\.", r"\1.0.branch.", ("conv3", "conv1"), ("bn3", "bn1"), ("conv4", "conv2")),
            *_block(r"(layer\d)\.0\.", r"\1.0.branch.", ("bn4", "bn2"), ("conv5", "conv3"), ("bn5", "bn3")),
            (r"^(layer\d\.[1-9]\d*)\.", r"\1.branch."),
        ),
    ),
    NamingScheme("RepDistiller's classifier", ((r"^linear\.", "fc."),)),
    NamingScheme(
        "RepDistiller's MobileNetV2",
        (
            *_block("", "", ("conv1.0", "conv1"), ("conv1.1", "bn1"), ("conv2.0", "conv2"), ("conv2.1", "bn2")),
            *_block("", "", ("classifier.0", "fc")),
            *(
                rule
                for group, number, block in (
                    *((0, 0, "layer1.0"), (1, 0, "layer1.1"), (1, 1, "layer1.2")),
                    *((2, i, f"layer2.{i}") for i in range(3)),
                    *((3, i, f"layer3.{i}") for i in range(4)),
                    *((4, i, f"layer3.{i + 4}") for i in range(3)),
                    *((5, i, f"layer4.{i}") for i in range(3)),
                    (6, 0, "layer4.3"),
                )
                for rule in _block(rf"blocks\.{group}\.{number}\.conv\.", f"{block}.", *_THREE_CONVOLUTIONS)
            ),
        ),
    ),
    NamingScheme(
        "OFD's MobileNet",
        (
            *_block("", "", ("0.0", "stem.0"), ("0.1", "stem.1")),
            *(
                rule
                for number, block in (
                    (1, "stem.3"),
                    *((2 + i, f"layer1.{i}") for i in range(2)),
                    *((4 + i, f"layer2.{i}") for i in range(2)),
                    *((6 + i, f"layer3.{i}") for i in range(6)),
                    *((12 + i, f"layer4.{i}") for i in range(2)),
                )
                for rule in _block(rf"{number}\.", f"{block}.", *_TWO_CONVOLUTIONS)
            ),
        ),
    ),
)


def translate(state: Mapping[str, Tensor], expected: Iterable[str]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename the entries of a state dict to the ``expected`` names, as far as a known naming scheme fits.

    A scheme is applied if more names match afterwards and no two entries get the same name.

    Returns:
        The state dict, and a sentence for each scheme that was applied.
    """
    known, current, notes = set(expected), dict(state), []
    for scheme in NAMING_SCHEMES:
        renamed = scheme.rename(current)
        if len(renamed) == len(current) and len(known & renamed.keys()) > len(known & current.keys()):
            current = renamed
            notes.append(f"renamed the entries of {scheme.name}")
    return current, notes
