"""Names: where each leads, what a model knows of itself, and the way out of wrong ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from timm.models import save_for_hf
from torch import nn

from tutelage.errors import TutelageError
from tutelage.models import ModelSpec, create_model, list_models, save_model, spec_of, weights_hash

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of a machine that is cut off from the hub."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


@pytest.fixture
def torch_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of a machine whose connections are refused."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def hub_repository(cache: Path, repository: str) -> Path:
    """Makes the folder in which the hub's client looks for the files of a downloaded repository."""
    root = cache / f"models--{repository.replace('/', '--')}"
    snapshot = root / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("0" * 40)
    return snapshot


def same_except(model: nn.Module, reference: dict[str, torch.Tensor], head: str) -> bool:
    state = model.state_dict()
    return all(torch.equal(state[key], reference[key]) for key in state if not key.startswith(head))


def test_specs_without_weights() -> None:
    assert create_model("resnet8").spec == ModelSpec("resnet8", 10)
    assert create_model("resnet8", 3).spec == ModelSpec("resnet8", 3)
    expected = ModelSpec("timm/test_resnet.r160_in1k", 1000, (160, 160), (0.5,) * 3, (0.5,) * 3, crop=0.95)
    assert create_model("timm/test_resnet.r160_in1k").spec == expected
    name = "torchvision/mobilenet_v3_small"
    assert create_model(name, 7).spec == ModelSpec(name, 7, (224, 224), IMAGENET_MEAN, IMAGENET_STD)


@pytest.mark.parametrize("name", ["timm/test_resnet", "torchvision/squeezenet1_1", "torchvision/mobilenet_v3_small"])
def test_logits_have_the_number_of_classes(name: str) -> None:
    assert create_model(name, 6).eval()(torch.randn(2, 3, 64, 64)).shape == (2, 6)


def test_torchvision_weights_and_class_names(torch_cache: Path) -> None:
    members = torchvision.models.get_model_weights("mobilenet_v3_small")
    published = torchvision.models.mobilenet_v3_small().state_dict()
    torch.save(published, torch_cache / members.DEFAULT.url.rpartition("/")[2])

    for weights in ("pretrained", "IMAGENET1K_V1", "MobileNet_V3_Small_Weights.IMAGENET1K_V1"):
        model = create_model("torchvision/mobilenet_v3_small", weights=weights)
        assert same_except(model, published, "nothing")
        assert model.spec.classes == tuple(members.DEFAULT.meta["categories"])
        assert model.spec.source == "IMAGENET1K_V1"

    model = create_model("torchvision/mobilenet_v3_small", num_classes=5, weights="pretrained")
    assert same_except(model, published, "classifier.3.")
    assert model.classifier[3].out_features == 5
    assert model.spec.classes is None


def test_torchvision_inception_keeps_its_function_without_its_inner_normalisation(torch_cache: Path) -> None:
    weights = torchvision.models.GoogLeNet_Weights.DEFAULT
    published = torchvision.models.GoogLeNet(init_weights=False)
    torch.save(published.state_dict(), torch_cache / weights.url.rpartition("/")[2])
    theirs = torchvision.models.googlenet(weights=weights).eval()
    ours = create_model("torchvision/googlenet", weights="pretrained")
    assert isinstance(ours(torch.randn(2, 3, 64, 64)), torch.Tensor), "in train mode too"

    images = torch.rand(2, 3, 64, 64)

    def normalised(mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
        return (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    ours = create_model("torchvision/googlenet", weights="pretrained").eval()
    expected = theirs(normalised(IMAGENET_MEAN, IMAGENET_STD))
    torch.testing.assert_close(ours(normalised(ours.spec.mean, ours.spec.std)), expected)


def test_code_in_a_cached_file_of_torchvision_is_refused(torch_cache: Path) -> None:
    url = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT.url
    torch.save(nn.Linear(1, 1), torch_cache / url.rpartition("/")[2])
    with pytest.raises(TutelageError, match="torchvision/squeezenet1_1.*not a safe weights file"):
        create_model("torchvision/squeezenet1_1", weights="pretrained")


def test_timm_weights_and_class_names(hub_cache: Path) -> None:
    published = timm.create_model("test_resnet").state_dict()
    save_file(published, hub_repository(hub_cache, "timm/test_resnet.r160_in1k") / "model.safetensors")

    model = create_model("timm/test_resnet", weights="pretrained")
    assert same_except(model, published, "nothing")
    assert model.spec.source == "pretrained"
    assert model.spec.classes is not None
    assert model.spec.classes[:2] == ("n01440764", "n01443537")
    assert len(model.spec.classes) == 1000

    model = create_model("timm/test_resnet", num_classes=5, weights="pretrained")
    assert same_except(model, published, "fc.")
    assert model.spec.num_classes == 5
    assert model.spec.classes is None


def test_a_hub_repository_comes_with_its_weights(hub_cache: Path, tmp_path: Path) -> None:
    theirs = timm.create_model("test_vit", num_classes=3, img_size=96)
    repository = hub_repository(hub_cache, "someone/flowers")
    theirs.pretrained_cfg["input_size"] = (3, 96, 96)
    save_for_hf(theirs, str(repository), model_config={"label_names": ["a", "b", "c"]}, safe_serialization=True)
    model = create_model("hf-hub:someone/flowers")
    assert same_except(model, theirs.state_dict(), "nothing")
    assert model.spec.classes == ("a", "b", "c")
    assert model.spec.input_size == (96, 96)
    assert same_except(create_model("hf-hub:someone/flowers", num_classes=7), theirs.state_dict(), "head.")

    save_model(model, tmp_path / "saved", model.spec)
    again = create_model(str(tmp_path / "saved"))
    assert again.spec == replace(model.spec, source=str(tmp_path / "saved"))
    images = torch.randn(2, 3, 96, 96)
    assert torch.equal(again.eval()(images), theirs.eval()(images))

    (repository / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(TutelageError, match="someone/flowers.*does not hold a timm model"):
        create_model("hf-hub:someone/flowers")


def test_weights_that_cannot_be_downloaded_from_the_hub(hub_cache: Path) -> None:
    with pytest.raises(TutelageError, match=r"timm/test_resnet'.*copy the cache.*or set weights=PATH"):
        create_model("timm/test_resnet", weights="pretrained")
    with pytest.raises(TutelageError, match=r"hf-hub:someone/flowers'.*copy the cache.*or download the repository"):
        create_model("hf-hub:someone/flowers")


def test_weights_that_cannot_be_downloaded_from_torchvision(torch_cache: Path) -> None:
    with pytest.raises(TutelageError, match=r"torchvision/squeezenet1_1'.*copy the cache.*or set weights=PATH"):
        create_model("torchvision/squeezenet1_1", weights="pretrained")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet21", "resnet20"),
        ("wrn4_02", "wrn_40_2"),
        ("resnet18", "torchvision/resnet18 or timm/resnet18"),
        ("mobilenet_v3_smal", "torchvision/mobilenet_v3_small"),
        ("timm/resnett18", "timm/resnet18"),
        ("timm/resnet18.a1_in2k", "timm/resnet18.a1_in1k"),
        ("torchvision/resnet51", "torchvision/resnet50"),
        ("torchvison/resnet50", "torchvision/resnet50"),
        ("xyzzy", "tutelage's networks: cifar_resnet18, "),
    ],
)
def test_unknown_names_lead_to_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(TutelageError) as raised:
        create_model(name)
    assert f"'{name}'" in str(raised.value)
    assert hint in str(raised.value)


@pytest.mark.parametrize("name", ["fcn_resnet50", "fasterrcnn_resnet50_fpn", "r3d_18", "quantized_resnet18"])
def test_torchvision_models_that_do_not_classify_images(name: str) -> None:
    with pytest.raises(TutelageError, match=f"torchvision/{name}': not an image classifier"):
        create_model(f"torchvision/{name}")


@pytest.mark.parametrize(
    ("name", "weights", "hint"),
    [
        ("resnet8", "pretrained", "no pretrained weights"),
        ("resnet8", "IMAGENET1K_V1", "use 'pretrained' or an existing file"),
        ("timm/resnet18", "IMAGENET1K_V1", "timm/resnet18.a1_in1k"),
        ("timm/resnet14t", "pretrained", "copy the cache"),
        ("timm/vgg11.foo", None, "timm/vgg11.tv_in1k"),
        ("torchvision/resnet50", "IMAGENET1K_V9", "IMAGENET1K_V2"),
    ],
)
def test_unknown_weights(hub_cache: Path, name: str, weights: str | None, hint: str) -> None:
    with pytest.raises(TutelageError) as raised:
        create_model(name, weights=weights)
    assert name in str(raised.value)
    assert hint in str(raised.value)


def test_paths_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="holds neither a run .* nor a saved model"):
        create_model(str(tmp_path))
    with pytest.raises(TutelageError, match="no such folder"):
        create_model(str(tmp_path / "teacher"))
    with pytest.raises(TutelageError, match="runs/teacher': there is no such folder"):
        create_model("runs/teacher")
    file = tmp_path / "weights.pth"
    file.touch()
    with pytest.raises(TutelageError, match=r"weights=.*weights\.pth"):
        create_model(str(file))


def test_class_counts_are_positive() -> None:
    with pytest.raises(TutelageError, match="num_classes must be at least 1, not 0"):
        create_model("resnet8", num_classes=0)


def test_listed_names() -> None:
    names = list_models()
    assert len(set(names)) == len(names)
    assert {"resnet20", "resnet20_a", "wrn_40_2", "timm/resnet18", "torchvision/resnet18"} <= set(names)
    assert "torchvision/fcn_resnet50" not in names


def test_a_folder_is_meant_rather_than_a_network_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet8").mkdir()
    assert create_model("resnet8").spec.source == "random"  # an empty folder, such as the parent of runs
    saved = create_model("resnet8", num_classes=3)
    save_model(saved, "resnet8", spec_of(saved))
    with pytest.warns(UserWarning, match="'resnet8' is read from the folder of this name in the working directory"):
        found = create_model("resnet8")
    assert weights_hash(found) == weights_hash(saved) and found.spec.num_classes == 3
    torch.save(create_model("resnet8").state_dict(), "weights.pth")
    assert create_model("resnet8", num_classes=3, weights="weights.pth").spec.source == "weights.pth"
