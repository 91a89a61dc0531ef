"""Pair the levels of a teacher with the levels of a student."""

from __future__ import annotations

import math

from torch import nn

from tutelage.errors import TutelageError
from tutelage.taps.points import TapPoint
from tutelage.taps.probe import Probe


def pair_levels(
    teacher: nn.Module | Probe, student: nn.Module | Probe, input_size: tuple[int, int] = (224, 224)
) -> list[tuple[str, str]]:
    """Return the pairs of levels of two networks that correspond to each other.

    * Levels of equal stride are paired. The stride is the input height over the map height, to the nearest power of
      two; each network has its own input size.
    * If the networks share no stride, levels are paired from the deepest to the shallowest.
    * If all levels of one network have the same resolution (a vision transformer), levels of equal relative depth are
      paired.

    Args:
        teacher: The teacher network, or its probe.
        student: The student network, or its probe.
        input_size: Size (H, W) of the images for networks without a probe.

    Returns:
        Pairs (teacher tap, student tap), shallow to deep; at least one.

    Raises:
        TutelageError: If a network has no feature maps to pair.

    Example:
        >>> from tutelage import create_model
        >>> from tutelage.taps import pair_levels
        >>> pair_levels(create_model("resnet20"), create_model("resnet8"), (32, 32))
        [('layer1', 'layer1'), ('layer2', 'layer2'), ('layer3', 'layer3')]
    """
    probes = [item if isinstance(item, Probe) else Probe(item, input_size) for item in (teacher, student)]
    for side, probe in zip(("teacher", "student"), probes):
        if not _maps(probe):
            raise TutelageError(
                f"found no levels to pair in the {side} ({type(probe.model).__name__}): none of its modules returns a "
                f"feature map at {probe.input_size[0]}x{probe.input_size[1]} pixels. Set the taps with "
                "METHOD.taps={TEACHER_TAP: STUDENT_TAP}; `tutelage inspect MODEL` lists them"
            )
    teacher_strides, student_strides = (_strides(probe) for probe in probes)
    teacher_taps, student_taps = ([point.name for point in _maps(probe)] for probe in probes)
    if _isotropic(probes[0]) or _isotropic(probes[1]):
        return _by_relative_depth(teacher_taps, student_taps)
    shared = [stride for stride in teacher_strides if stride in student_strides]
    if shared:
        return [(teacher_strides[stride], student_strides[stride]) for stride in shared]
    count = min(len(teacher_taps), len(student_taps))
    return list(zip(teacher_taps[-count:], student_taps[-count:]))


def _maps(probe: Probe) -> list[TapPoint]:
    return [point for point in probe.levels if len(point.shape) == 3]


def _strides(probe: Probe) -> dict[int, str]:
    """Return the deepest level of each stride, as {log2 of the stride: tap}."""
    return {round(math.log2(probe.input_size[0] / point.shape[1])): point.name for point in _maps(probe)}


def _isotropic(probe: Probe) -> bool:
    maps = _maps(probe)
    return len(maps) > 1 and len({point.shape[1:] for point in maps}) == 1


def _by_relative_depth(teacher: list[str], student: list[str]) -> list[tuple[str, str]]:
    count = min(len(teacher), len(student))
    ends = range(1, count + 1)
    return [(teacher[len(teacher) * end // count - 1], student[len(student) * end // count - 1]) for end in ends]
