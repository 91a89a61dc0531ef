"""Find the levels (resolutions) of an unknown network from a dry forward pass."""

from __future__ import annotations

from dataclasses import replace

from tutelage.taps.points import Observation, TapPoint

# Layers that only resample or pass on their input.
_PASSIVE = ("pool", "dropout", "droppath", "stochasticdepth", "identity", "flatten", "upsample")
_BACKBONE_REDUCTION = 3
_TRANSFORMER_LEVELS = 4


def choose_levels(observations: list[Observation]) -> list[TapPoint]:
    """Return the outputs of a network's levels, shallow to deep, numbered from 0.

    A level ends where the resolution changes. Its output is the last output, at that resolution, of an outermost
    container (a module made of layers). The exceptions are:

    * A container that divides the resolution by 3 or more is a whole backbone; the containers inside it are used.
    * The stem (a container fed by the image, and everything inside it) only counts if fewer than three levels remain
      without it.
    * If all blocks work at one resolution (a vision transformer), a level ends after every quarter of the blocks.
    * If there are fewer than two such containers, the last layer of each resolution is used, except pooling and other
      layers without computation.
    * Maps of 1x1 are only used if there are no others.

    Args:
        observations: The points of the network, in order of execution.

    Returns:
        The points with ``level`` set; empty if the network has no feature maps.
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
    return [replace(o.point, level=number) for number, o in enumerate(chosen or maps[-1:])]


def _resolution(observation: Observation) -> tuple[int, int]:
    return observation.point.shape[1], observation.point.shape[2]


def _is_backbone(observation: Observation) -> bool:
    source = observation.source_shape
    return source is not None and len(source) == 3 and source[1] >= _BACKBONE_REDUCTION * observation.point.shape[1]


def _outermost(containers: list[Observation]) -> list[Observation]:
    searched = [o for o in containers if not _is_backbone(o)]
    return [o for o in searched if not any(_is_inside(o, other) for other in searched)]


def _without_stem(outer: list[Observation], containers: list[Observation]) -> list[Observation]:
    """Return ``outer`` without containers that read the image and precede other containers, and without their parts."""
    stems = [
        o
        for n, o in enumerate(containers)
        if o.from_image and any(not _is_inside(o, later) for later in containers[n + 1 :])
    ]
    return [o for o in outer if not any(o is stem or _is_inside(o, stem) for stem in stems)]


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
    """Return the ends of up to four equal spans of the longest list of sibling containers with equal shapes."""
    siblings: dict[tuple[str, tuple[int, ...]], list[Observation]] = {}
    for observation in containers:
        parent = observation.point.name.rpartition(".")[0]
        siblings.setdefault((parent, observation.point.shape), []).append(observation)
    blocks = max(siblings.values(), key=len, default=[])
    if len(blocks) < 2:
        return []
    count = min(_TRANSFORMER_LEVELS, len(blocks))
    return [blocks[(number + 1) * len(blocks) // count - 1] for number in range(count)]
