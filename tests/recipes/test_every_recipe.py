"""Every recipe is readable, its settings are valid, and its stages fit its networks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import tutelage.recipes
from harness.marks import quickly
from harness.recipes import settings_of, stages_of, take_steps, term_on_zeros
from tutelage.config import DistillSettings, load
from tutelage.recipes import list_recipes, load_recipe, recipe_of

ROOT = Path(tutelage.recipes.__file__).parent

STEPPED = [
    # A recipe of each method …
    "kd/cifar10-ensemble-resnet20",
    "fitnets/cifar10-resnet110-resnet20",
    "at/cifar10-wrn_16_2-wrn_16_1-at+kd",
    "at_gradient/cifar10-resnet20-symmetry",
    "nst/cifar100-resnet110-resnet20-gaussian",
    "fsp/cifar100-resnet32-resnet14",
    "ofd/cifar100-c",
    "imagenette/residual-block-at-a-time-kd",
    "crd/cifar100-resnet56-resnet20-ab",
    "crd/cifar100-resnet56-resnet20-ft",
    "crd/cifar100-wrn_40_2-wrn_16_2-vid",
    "reviewkd/cifar100-wrn_40_2-shufflenet_v1",
    "sdd/cifar100-vgg13-mobilenet_v2_half-dkd",
    "ctkd/cifar100-resnet56-resnet20",
    "lskd/cifar100-vgg13-vgg8-kd",
    "srrl/imagenet-resnet34-resnet18",
    "crd/cifar100-resnet56-resnet20-crd",
    "simkd/cifar100-wrn_40_2-wrn_40_1",
    "norm/cifar100-resnet56-resnet20",
    # … and of each family of networks.
    "fitnets/imagenet-resnet50-resnet18",
    "fitnets/cifar10-maxout_cifar-fitnet_1",
    "crd/cifar100-vgg13-mobilenet_v2_half-fitnets",
    "crd/cifar100-resnet32x4-shufflenet_v2-nst",
    "crd/cifar100-wrn_40_2-shufflenet_v1-at",
    "ofd/imagenet-b",
]
LARGE = {"funmatch/imagenet-bit_r152x2-bit_r50x1"}
UNQUOTED = {"cat_kd", "ldrld", "rld"}
"""Sources with recipes for pairs whose published number is not known."""


@pytest.mark.parametrize("name", quickly(list_recipes(), set(list_recipes()[::40]) - LARGE))
def test_the_stages_of_a_recipe_fit_its_networks(name: str) -> None:
    recipe = load_recipe(name)
    settings, stages = settings_of(recipe), stages_of(recipe)
    assert sum(stage.epochs for stage in stages) == settings.epochs
    for stage in stages:
        for term in stage.terms:
            value = term_on_zeros(recipe, term)
            assert value.ndim == 0 and torch.isfinite(value), term.name
        schedule = stage.schedule or settings.schedule
        assert all(milestone < stage.epochs for milestone in schedule.milestones), stage.name


@pytest.mark.chaos
@pytest.mark.parametrize("name", STEPPED)
def test_two_steps_move_every_weight_of_a_stage(name: str) -> None:
    for step in take_steps(load_recipe(name)):
        assert math.isfinite(step.loss), step
        assert 0 < step.changed == step.trained, step


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_names_what_it_needs(name: str) -> None:
    recipe = load_recipe(name)
    settings = settings_of(recipe)
    assert load(type(settings), settings.model_dump(mode="json")) == settings
    assert settings.out == Path("runs", name)
    if isinstance(settings, DistillSettings):
        for method in settings.methods():
            assert method in recipe.config, f"{method}'s settings are left to their defaults"
        for teacher in settings.teacher.names if settings.teacher is not None else ():
            assert recipe_of(teacher) or teacher.startswith(("torchvision/", "timm/"))
    figures = [figure.of for figure in recipe.published]
    assert not figures or recipe.headline is not None or name.partition("/")[0] in UNQUOTED


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.yaml")), ids=lambda file: file.relative_to(ROOT).with_suffix(""))
def test_a_file_reads_as_if_written_by_hand(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("about: ") and text.endswith("\n") and "\n\n" not in text
    assert max(map(len, text.splitlines())) <= 120
    assert not any(character in text for character in "&*\t")
