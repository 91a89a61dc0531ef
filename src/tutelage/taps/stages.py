"""Finding the stages of an unknown network from what a dry forward pass saw."""

from __future__ import annotations

from dataclasses import replace

from tutelage.taps.points import Observation, TapPoint

# Leaves that only resample or pass on what the layer before them made.
_PASSIVE = ("pool", "dropout", "droppath", "stochasticdepth", "identity", "flatten", "upsample")
_BACKBONE_REDUCTION = 3
_TRANSFORMER_STAGES = 4


def choose_stages(observations: list[Observation]) -> list[TapPoint]:
    """Returns the stage outputs, shallow to deep, numbered.

    A stage ends where the resolution changes: for each resolution it is the last output of a container (a module made
    of layers) at the shallowest depth. Containers that divide the resolution by 3 or more are taken for whole
    backbones and looked into; into others nobody looks. The stem (a container fed by the image, and what is inside)
    counts only where fewer than three stages would be left without it. A network whose blocks all work at one
    resolution (a vision transformer) is cut after every quarter of its blocks. Networks with no two containers give the
    last layer of each resolution that is no pooling. Maps of 1x1 are left out unless there is nothing else.
    """
    maps = [o for o in observations if len(o.point.shape) == 3]
    maps = [o for o in maps if max(_resolution(o)) > 1] or maps
    containers = [o for o in maps if o.container]
    outer = _outermost(containers)
    body = _without_stem(outer, containers)
    chosen = _last_of_each_resolution(body)
    if len(chosen) < 3:
        chosen = _last_of_each_resolution(outer)
    isotropic = len(body) > 2 and len({_resolution(o) for o in body}) == 1
    if len(chosen) < 2 or isotropic:
        chosen = _evenly_spaced_blocks(containers) or chosen
    if len(chosen) < 2:
        chosen = _last_of_each_resolution([o for o in maps if _is_layer(o)])
    return [replace(o.point, stage=number) for number, o in enumerate(chosen or maps[-1:])]


def _resolution(observation: Observation) -> tuple[int, int]:
    return observation.point.shape[1], observation.point.shape[2]


def _is_backbone(observation: Observation) -> bool:
    source = observation.source_shape
    return source is not None and len(source) == 3 and source[1] >= _BACKBONE_REDUCTION * observation.point.shape[1]


def _outermost(containers: list[Observation]) -> list[Observation]:
    stages = [o for o in containers if not _is_backbone(o)]
    return [o for o in stages if not any(_is_inside(o, other) for other in stages)]


def _without_stem(stages: list[Observation], containers: list[Observation]) -> list[Observation]:
    """Leaves out containers fed by the image which other containers follow, and what is inside them."""
    stems = [
        o
        for n, o in enumerate(containers)
        if o.from_image and any(not _is_inside(o, later) for later in containers[n + 1 :])
    ]
    return [o for o in stages if not any(o is stem or _is_inside(o, stem) for stem in stems)]


def _is_inside(inner: Observation, outer: Observation) -> bool:
    return str(inner.module).startswith(f"{outer.module}.")


def _is_layer(observation: Observation) -> bool:
    operation = observation.point.operation.lower()
    return observation.module is not None and not observation.container and not any(p in operation for p in _PASSIVE)


def _last_of_each_resolution(observations: list[Observation]) -> list[Observation]:
    last: dict[tuple[int, int], Observation] = {}
    for observation in observations:
        resolution = _resolution(observation)
        known = last.get(resolution)
        if known is None or _depth(observation) <= _depth(known):
            last[resolution] = observation
    return [o for o in observations if last.get(_resolution(o)) is o]


def _depth(observation: Observation) -> int:
    return observation.point.name.count(".")


def _evenly_spaced_blocks(containers: list[Observation]) -> list[Observation]:
    """Cuts the longest list of sibling containers of equal shape into up to four spans; returns the ends."""
    siblings: dict[tuple[str, tuple[int, ...]], list[Observation]] = {}
    for observation in containers:
        parent = observation.point.name.rpartition(".")[0]
        siblings.setdefault((parent, observation.point.shape), []).append(observation)
    blocks = max(siblings.values(), key=len, default=[])
    if len(blocks) < 2:
        return []
    count = min(_TRANSFORMER_STAGES, len(blocks))
    return [blocks[(number + 1) * len(blocks) // count - 1] for number in range(count)]
