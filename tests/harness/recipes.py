"""Recipes without data and without training: their networks, their stages, a step of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from tutelage.config import DistillSettings, RunSettings, TrainSettings
from tutelage.distillation import Distiller, Teacher
from tutelage.methods import METHODS, Method, Pair, plan
from tutelage.models import create_model
from tutelage.recipes import Recipe, load_recipe, recipe_of
from tutelage.taps import Probe
from tutelage.terms import LOGITS, RESERVED, Stage, Term

SHAPES = {"cifar10": (10, 32), "cifar100": (100, 32), "imagenette": (10, 224)}
"""Classes and side of the images of the data sets that recipes name."""

ANY_SIDE = 64
"""Side of the images for networks that take any: ImageNet's cost too much at 224."""


@dataclass(frozen=True)
class Shape:
    """Of a recipe's images."""

    classes: int
    side: int


def settings_of(recipe: Recipe) -> RunSettings:
    """Returns the recipe's settings, with a folder for images that have no registered name."""
    return recipe.settings({"data": "imagenet"}) if recipe.images is not None else recipe.settings()


def shape_of(recipe: Recipe) -> Shape:
    """Returns what the recipe's images are, smaller where the recipe's networks allow it."""
    settings = settings_of(recipe)
    images = recipe.images
    classes, side = SHAPES[settings.data.name] if images is None else (images.classes, images.size)
    side = settings.data.size or side
    names = [network for network in networks_of(settings) if network is not None]
    return Shape(classes, side if side <= ANY_SIDE or "plain_cnn" in names else ANY_SIDE)


def networks_of(settings: RunSettings) -> tuple[str, str | None]:
    """Returns the names of the student and of the (first) teacher; for the run of another recipe, its network's."""
    if isinstance(settings, TrainSettings):
        return settings.model.name, None
    assert isinstance(settings, DistillSettings)
    teacher = settings.teacher.names[0] if settings.teacher is not None else None
    return _network(settings.student.name), None if teacher is None else _network(teacher)


def _network(name: str) -> str:
    recipe = recipe_of(name)
    return name if recipe is None else networks_of(settings_of(load_recipe(recipe)))[0]


@cache
def probe(name: str, shape: Shape) -> Probe:
    """Returns a network's probe; the network is shared, so it must not be trained."""
    return Probe(create_model(name, shape.classes), (shape.side, shape.side))


def methods_of(settings: RunSettings) -> Mapping[str, Method]:
    return settings.methods() if isinstance(settings, DistillSettings) else {"none": METHODS["none"]()}


def stages_of(recipe: Recipe) -> list[Stage]:
    """Returns the recipe's stages, planned on probes of its networks."""
    settings, shape = settings_of(recipe), shape_of(recipe)
    student, teacher = networks_of(settings)
    pair = Pair(probe(student, shape), None if teacher is None else probe(teacher, shape), settings.epochs)
    return plan(methods_of(settings), pair)


def term_on_zeros(recipe: Recipe, term: Term) -> Tensor:
    """Returns the value of a term for features of zeros, two samples, in the shapes that the probes found."""
    shape = shape_of(recipe)
    student, teacher = networks_of(settings_of(recipe))
    theirs = {} if teacher is None else {tap: _zeros(probe(teacher, shape), tap, shape) for tap in term.teacher_taps}
    ours = {tap: _zeros(probe(student, shape), tap, shape) for tap in term.student_taps}
    return term(ours, term.target(theirs))


def _zeros(found: Probe, tap: str, shape: Shape) -> Tensor:
    if tap in RESERVED:
        return torch.zeros((2, shape.classes) if tap == LOGITS else (2, 3, shape.side, shape.side))
    return torch.zeros(2, *found.shape(tap))


@dataclass(frozen=True)
class Step:
    """What two steps of optimisation did in a stage."""

    stage: str
    loss: float
    """Before the second step."""
    trained: int
    """How many weights (tensors of two dimensions and more) the stage trains."""
    changed: int
    """How many of them changed."""


def take_steps(recipe: Recipe, batch: int = 2) -> list[Step]:
    """Takes two steps of SGD in every stage of a recipe, on random images and labels."""
    shape, stages = shape_of(recipe), stages_of(recipe)
    student, teacher = networks_of(settings_of(recipe))
    torch.manual_seed(0)
    network = create_model(student, shape.classes)
    distiller = Distiller(network, Teacher(create_model(teacher, shape.classes)) if teacher else None, stages).train()
    images = torch.rand(batch, 3, shape.side, shape.side)
    labels = torch.randint(shape.classes, (batch,))
    return [_step(distiller, number, images, labels) for number in range(len(stages))]


def _step(distiller: Distiller, number: int, images: Tensor, labels: Tensor) -> Step:
    stage = distiller.enter(number)
    parameters = [parameter for parameter in distiller.parameters() if parameter.requires_grad]
    weights = [parameter for parameter in parameters if parameter.ndim > 1]
    before = [weight.detach().clone() for weight in weights]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    # Two, because what lies behind a gain that starts at zero moves in the second.
    for _ in range(2):
        optimizer.zero_grad()
        loss = distiller(images, labels).loss
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    changed = sum(not torch.equal(old, new) for old, new in zip(before, weights))
    return Step(stage.name, float(loss), len(weights), changed)
