"""What is chosen where the optimization is left open, and that whatever is set stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from harness.runs import SMALL
from tutelage import TutelageError, train
from tutelage.config import TrainSettings, load
from tutelage.models import create_model, spec_of
from tutelage.recipes import list_recipes, load_recipe
from tutelage.terms import Optimizer, Stage
from tutelage.training import load_run
from tutelage.training.job.defaults import Optimization, choose, kind_of, raise_momentum, settle
from tutelage.training.loop.optimizer import build_optimizer

RUN: dict[str, Any] = {"data": "digits", "model": "resnet8"}


def chosen(
    network: nn.Module, *words: str, stages: tuple[Stage, ...] = (Stage("train", 30),), steps: int = 100_000
) -> Optimization:
    return choose(load(TrainSettings, RUN, *words), network, stages, steps)


def pretrained(name: str) -> nn.Module:
    network = create_model(name, 4)
    network.spec = replace(spec_of(network), source="somewhere.safetensors")
    return network


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("resnet8", "convolutional"),
        ("residual_cnn_8", "convolutional"),
        ("torchvision/regnet_y_400mf", "convolutional"),
        ("timm/mobilenetv3_small_050", "convolutional"),
        ("torchvision/shufflenet_v2_x0_5", "convolutional"),
        ("timm/vit_tiny_patch16_224", "transformer"),
        ("timm/convnext_atto", "transformer"),
        ("timm/mobilevit_xxs", "transformer"),
        ("torchvision/squeezenet1_1", "unnormalized"),
    ],
)
def test_the_kind_of_a_network_is_that_of_its_normalizations(name: str, kind: str) -> None:
    assert kind_of(create_model(name, 4)) == kind


def test_sgd_where_it_is_asked_for_has_a_rate_that_grows_with_the_batch() -> None:
    network = create_model("resnet8", 4)
    one, two = (chosen(network, "optimizer=sgd", f"batch_size={size}") for size in (256, 64))
    assert (one.optimizer.name, one.optimizer.lr, one.optimizer.weight_decay, one.clip) == ("sgd", 0.1, 5e-4, 5.0)
    assert two.optimizer.lr == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("name", "lr"),
    [("timm/vit_tiny_patch16_224", 1e-3), ("resnet8", 3e-3), ("torchvision/squeezenet1_1", 1e-3)],
)
def test_adamw_is_chosen_and_its_rate_grows_with_the_root_of_the_batch(name: str, lr: float) -> None:
    network = create_model(name, 4)
    one, two = (chosen(network, f"batch_size={size}") for size in (256, 64))
    assert (one.optimizer.name, one.optimizer.lr, one.optimizer.weight_decay, one.clip) == ("adamw", lr, 0.05, 1.0)
    assert not one.optimizer.decay_norms
    assert two.optimizer.lr == pytest.approx(lr / 2)


@pytest.mark.parametrize("name", ["resnet8", "timm/convnext_atto", "timm/mobilenetv3_small_050"])
def test_trained_weights_get_a_smaller_rate_unless_they_are_frozen(name: str) -> None:
    scratch, tuned = chosen(create_model(name, 4)), chosen(pretrained(name))
    head = chosen(pretrained(name), stages=(Stage("train", 30, frozen=("layer1",)),))
    assert tuned.optimizer.lr < scratch.optimizer.lr / 2
    assert head.optimizer.lr == scratch.optimizer.lr


def test_the_warm_up_is_a_tenth_of_the_run_and_at_most_five_epochs_whatever_the_method() -> None:
    network = create_model("resnet8", 4)
    assert chosen(network).schedule.warmup == 3.0
    assert chosen(network, "epochs=300").schedule.warmup == 5.0
    staged = (Stage("first", 10), Stage("second", 20))
    assert chosen(network, stages=staged).schedule == chosen(network).schedule
    assert chosen(network, "schedule.name=step").schedule.warmup == 0.0


def test_whatever_is_set_stays() -> None:
    words = ("optimizer=sgd", "optimizer.lr=0.01", "optimizer.weight_decay=0", "schedule.warmup=2", "clip=null")
    found = chosen(create_model("resnet8", 4), *words, "optimizer.betas=[0.8,0.9]")
    assert (found.optimizer.name, found.optimizer.lr, found.optimizer.weight_decay) == ("sgd", 0.01, 0.0)
    assert (found.schedule.name, found.schedule.warmup, found.clip) == ("cosine", 2.0, None)
    assert found.optimizer.betas == (0.8, 0.9)


def test_short_trainings_from_scratch_do_not_leave_running_statistics_behind() -> None:
    slow = create_model("torchvision/mobilenet_v3_small", 4)  # a momentum of 0.01
    assert chosen(slow, steps=400).bn_momentum == 0.1
    assert chosen(slow, steps=2500).bn_momentum == pytest.approx(0.02)
    assert chosen(slow, steps=5000).bn_momentum is None
    assert chosen(slow, "bn_momentum=null", steps=400).bn_momentum is None
    assert chosen(pretrained("torchvision/mobilenet_v3_small"), steps=400).bn_momentum is None
    assert chosen(create_model("resnet8", 4), steps=100).bn_momentum is None
    assert chosen(create_model("torchvision/squeezenet1_1", 4), steps=100).bn_momentum is None


def test_momentum_is_raised_and_never_lowered() -> None:
    network = nn.Sequential(*(nn.BatchNorm2d(1, momentum=momentum) for momentum in (0.01, 0.3, None)))
    raise_momentum(network, 0.1)
    assert [norm.momentum for norm in network] == [0.1, 0.3, None]


def test_what_is_settled_is_not_chosen_again() -> None:
    settings, stages = load(TrainSettings, RUN), (Stage("train", 30),)
    once = settle(settings, choose(settings, create_model("torchvision/mobilenet_v3_small", 4), stages, 500))
    assert once.bn_momentum == 0.1
    assert settle(once, choose(once, create_model("timm/vit_tiny_patch16_224", 4), stages, 10**6)) == once


def test_a_rate_for_sgd_is_refused_where_adamw_was_chosen() -> None:
    network = create_model("timm/convnext_atto", 4)
    with pytest.raises(TutelageError, match="optimizer.lr=0.1 is too high for AdamW.*set optimizer.name=sgd"):
        chosen(network, "optimizer.lr=0.1")
    assert chosen(network, "optimizer.lr=0.1", "optimizer=sgd").optimizer.lr == 0.1


def test_norms_and_biases_are_not_decayed_unless_that_is_set() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    for decayed, left in ((False, 1.0), (True, 0.9)):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(1.0)
        settings = Optimizer(name="sgd", lr=0.1, weight_decay=1.0, momentum=0, decay_norms=decayed)
        optimizer = build_optimizer(network.parameters(), settings)
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        assert torch.allclose(network[0].weight, torch.tensor(0.9))
        assert torch.allclose(network[1].weight, torch.tensor(left))
        assert torch.allclose(network[0].bias, torch.tensor(left))


def test_a_run_keeps_what_was_chosen(tmp_path: Path) -> None:
    settings = {key: value for key, value in SMALL.items() if key != "optimizer"}
    train(**settings, model="resnet8", epochs=1, out=tmp_path / "run")
    kept = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text(encoding="utf-8"))
    assert kept["optimizer"]["name"] == "adamw"
    assert kept["optimizer"]["lr"] == pytest.approx(3e-3 * (26 / 256) ** 0.5)
    assert kept["schedule"]["name"] == "cosine" and kept["schedule"]["warmup"] == pytest.approx(0.1)
    assert kept["clip"] == 1.0 and kept["bn_momentum"] is None
    assert "convolutional, from scratch: adamw" in (tmp_path / "run" / "log.txt").read_text(encoding="utf-8")


def test_a_run_of_version_0_1_decays_what_it_did(tmp_path: Path) -> None:
    optimizer = "optimizer: {name: sgd, lr: 0.1, weight_decay: 0.0005}"
    config = f"data: {{name: digits}}\nmodel: {{name: resnet8}}\nclip: null\n{optimizer}\n"
    (tmp_path / "config.yaml").write_text(config, encoding="utf-8")
    settings = load_run(tmp_path)
    assert settings.optimizer.decay_norms and settings.clip is None and settings.bn_momentum is None


def test_recipes_leave_nothing_open() -> None:
    for recipe in map(load_recipe, list_recipes()):
        settings = recipe.settings({"data": "digits"}) if recipe.images is not None else recipe.settings()
        assert settings.optimizer.name != "auto" and settings.optimizer.lr is not None, recipe.name
        assert settings.optimizer.weight_decay is not None and settings.optimizer.decay_norms, recipe.name
        assert settings.schedule.name != "auto" and settings.clip != "auto", recipe.name
        assert settings.bn_momentum is None, recipe.name
