"""Recipes without data and without training: their networks, their stages, a step of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor, nn

from tutelage.config import DistillSettings, RunSettings, TrainSettings
from tutelage.distillation import Distiller, Teacher, Teachers
from tutelage.methods import METHODS, Method, Pair, deployed, plan
from tutelage.models import create_model
from tutelage.recipes import Recipe, load_recipe, recipe_of
from tutelage.taps import Probe
from tutelage.terms import EPOCH, INDEX, LABELS, LOGITS, Stage, Term, is_reserved

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
    fixed = networks_of(settings)[0] == "plain_cnn"
    return Shape(classes, side if fixed else min(side, ANY_SIDE))


def networks_of(settings: RunSettings) -> tuple[str, ...]:
    """Returns the names of the student and of its teachers; for the run of another recipe, its network's."""
    if isinstance(settings, TrainSettings):
        return (settings.model.name,)
    assert isinstance(settings, DistillSettings)
    teachers = settings.teacher.names if settings.teacher is not None else ()
    return tuple(_network(name) for name in (settings.student.name, *teachers))


def _network(name: str) -> str:
    recipe = recipe_of(name)
    return name if recipe is None else networks_of(settings_of(load_recipe(recipe)))[0]


@cache
def probe(name: str, shape: Shape) -> Probe:
    """Returns a network's probe; the network is shared, so it must not be trained."""
    return Probe(create_model(name, shape.classes), (shape.side, shape.side))


def methods_of(settings: RunSettings) -> Mapping[str, Method]:
    return settings.methods() if isinstance(settings, DistillSettings) else {"none": METHODS["none"]()}


def pair_of(recipe: Recipe) -> Pair:
    """Returns probes of the recipe's networks, with the student that its methods deploy."""
    settings, shape = settings_of(recipe), shape_of(recipe)
    student, *teachers = (probe(name, shape) for name in networks_of(settings))
    teacher, methods = teachers[0] if teachers else None, methods_of(settings)
    pair = Pair(student, teacher, settings.epochs, len(teachers), labels_of(shape), settings.batch_size)
    if any(method.deploys for method in methods.values()):
        pair = replace(pair, student=Probe(deployed(methods, pair), student.input_size))
    return pair


def labels_of(shape: Shape) -> Tensor:
    """Returns the labels of a training set with two images of each class."""
    return torch.arange(2 * shape.classes) % shape.classes


def stages_of(recipe: Recipe) -> list[Stage]:
    """Returns the recipe's stages, planned on probes of its networks."""
    return plan(methods_of(settings_of(recipe)), pair_of(recipe))


def term_on_zeros(recipe: Recipe, term: Term) -> Tensor:
    """Returns the value of a term for features of zeros, two samples, in the shapes that the probes found."""
    pair = pair_of(recipe)
    theirs = {tap: _zeros(pair.teacher, tap, pair.teachers) for tap in term.teacher_taps}
    ours = {tap: _zeros(pair.student, tap) for tap in term.student_taps}
    of_batch = {LABELS: torch.zeros(2, dtype=torch.int64), INDEX: torch.arange(2), EPOCH: torch.tensor(0)}
    return term({**ours, **of_batch}, term.target(theirs))


def _zeros(network: Probe | None, tap: str, networks: int = 1) -> Tensor:
    assert network is not None and network.num_classes is not None
    if tap == LOGITS:
        return torch.zeros(2, network.num_classes) if networks == 1 else torch.zeros(networks, 2, network.num_classes)
    return torch.zeros(2, *((3, *network.input_size) if is_reserved(tap) else network.shape(tap)))


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
    settings, shape = settings_of(recipe), shape_of(recipe)
    torch.manual_seed(0)
    images = torch.rand(batch, 3, shape.side, shape.side)
    labels = torch.randint(shape.classes, (batch,))
    student, *teachers = (create_model(name, shape.classes) for name in networks_of(settings))
    members = [Teacher(measured(teacher, images)) for teacher in teachers]
    distiller = Distiller(
        student,
        Teachers(members) if len(members) > 1 else members[0] if members else None,
        methods_of(settings),
        input_size=shape.side,
        epochs=settings.epochs,
        labels=labels_of(shape),
        batch_size=batch,
    )
    distiller.train()
    return [_step(distiller, number, images, labels) for number in range(len(distiller.stages))]


def measured(network: nn.Module, images: Tensor) -> nn.Module:
    """Sets a random network's running statistics to those of ``images``; without, a deep one's features explode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(images)
    return network


def _step(distiller: Distiller, number: int, images: Tensor, labels: Tensor) -> Step:
    stage = distiller.enter(number)
    parameters = [parameter for parameter in distiller.parameters() if parameter.requires_grad]
    weights = [parameter for parameter in parameters if parameter.ndim > 1]
    before = [weight.detach().clone() for weight in weights]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    # Two, because what lies behind a gain that starts at zero moves in the second.
    for _ in range(2):
        optimizer.zero_grad()
        loss = distiller(images, labels, index=torch.arange(len(images))).loss
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    changed = sum(not torch.equal(old, new) for old, new in zip(before, weights))
    return Step(stage.name, loss.item(), len(weights), changed)
