"""Pairing the stages of a teacher with those of a student."""

from __future__ import annotations

import math

from torch import nn

from tutelage.errors import TutelageError
from tutelage.taps.points import TapPoint
from tutelage.taps.probe import Probe


def pair_stages(
    teacher: nn.Module | Probe, student: nn.Module | Probe, input_size: tuple[int, int] = (224, 224)
) -> list[tuple[str, str]]:
    """Proposes pairs (teacher tap, student tap), shallow to deep; at least one.

    Stages of equal stride (input size over map size, to the nearest power of two, each network on its own input) are
    paired; where no stride is shared, stages are paired from the deepest backwards. Where the stages of one network all
    have one resolution (a vision transformer), those of equal relative depth are paired. ``input_size`` (H, W) serves
    networks that are not probed yet.

    Raises TutelageError where a network has no feature maps to pair.
    """
    probes = [item if isinstance(item, Probe) else Probe(item, input_size) for item in (teacher, student)]
    for side, probe in zip(("teacher", "student"), probes):
        if not _maps(probe):
            raise TutelageError(
                f"found no stages to pair in the {side} ({type(probe.model).__name__}): none of its modules gives a "
                f"feature map at {probe.input_size[0]}x{probe.input_size[1]} pixels; name the taps by hand, as "
                "METHOD.taps={TEACHER_TAP: STUDENT_TAP} (`tutelage inspect MODEL` lists them)"
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
    return [point for point in probe.stages if len(point.shape) == 3]


def _strides(probe: Probe) -> dict[int, str]:
    """Maps log2 of the stride to the deepest stage that has it."""
    return {round(math.log2(probe.input_size[0] / point.shape[1])): point.name for point in _maps(probe)}


def _isotropic(probe: Probe) -> bool:
    stages = _maps(probe)
    return len(stages) > 1 and len({point.shape[1:] for point in stages}) == 1


def _by_relative_depth(teacher: list[str], student: list[str]) -> list[tuple[str, str]]:
    count = min(len(teacher), len(student))
    ends = range(1, count + 1)
    return [(teacher[len(teacher) * end // count - 1], student[len(student) * end // count - 1]) for end in ends]
