"""How methods share out epochs, join in sums, and treat what is frozen."""

from __future__ import annotations

import pytest
import torch

from harness.cases import CLASSES, SIZE, Case, batch, build, networks
from harness.marks import quickly
from tutelage.distillation import Distiller, Teacher, make_stages
from tutelage.errors import TutelageError
from tutelage.methods import METHODS, parse
from tutelage.models import create_model

TOO_MANY = {"conv1": "relu", "block1": "layer1", "block2": "layer2", "block3": "layer3", "relu": "layer3.0.add"}


def stages_of(method: str, **settings: dict[str, object]) -> list[object]:
    return build(Case("", method, settings)).stages


def test_two_stages_share_the_epochs() -> None:
    hint, kd = stages_of("fitnets")
    assert (hint.name, hint.epochs, hint.task_weight) == ("hint", 1, 0.0)
    assert (kd.name, kd.epochs) == ("kd", 4)
    assert [term.name for term in kd.terms] == ["kd"] and kd.task_weight == pytest.approx(0.1)


def test_terms_of_a_sum_join_the_last_stage_of_the_staged_method() -> None:
    hint, last = stages_of("at+fitnets")
    assert [term.name for term in hint.terms] == ["hint.layer2"]
    assert [term.name for term in last.terms] == ["at.layer1", "at.layer2", "at.layer3", "kd"]
    assert last.task_weight == pytest.approx(0.1)


def test_kd_in_a_sum_sets_the_weight_of_the_labels() -> None:
    (stage,) = stages_of("at+kd", kd={"alpha": 0.3})
    assert stage.task_weight == pytest.approx(0.7)
    assert [term.name for term in stage.terms] == ["at.layer1", "at.layer2", "at.layer3", "kd"]


@pytest.mark.parametrize(
    ("settings", "kl", "ce"),
    [
        ({"weight": 3.0}, 3.0, 0.1),
        ({"ce": 1.0}, 0.9, 1.0),
        ({"weight": 3.0, "ce": 0.5}, 3.0, 0.5),
        ({"alpha": 0.3, "ce": 0.5}, 0.3, 0.5),
        ({"standardize": True}, 9.0, 0.1),
        ({"standardize": True, "ce": 1.0}, 9.0, 1.0),
        ({"standardize": True, "labels": False}, 9.0, 0.0),
        ({"labels": False, "weight": 2.0}, 2.0, 0.0),
    ],
)
def test_kd_has_two_weights_also_in_a_sum(settings: dict, kl: float, ce: float) -> None:
    for method in ("kd", "kd+at"):
        (stage,) = stages_of(method, kd=settings)
        assert {term.name: term.weight for term in stage.terms}["kd"] == kl
        assert stage.task_weight == pytest.approx(ce)


def test_what_standardization_implies_is_read_back_from_a_settings_file() -> None:
    method = METHODS["kd"](standardize=True)
    assert (method.temperature, METHODS["kd"](standardize=True, temperature=3).temperature) == (2.0, 3.0)
    for again in (method, METHODS["kd"]()):
        assert METHODS["kd"](**again.model_dump()) == again


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"standardize": True, "alpha": 0.5}, "leave it out"),
        ({"weight": 1.0, "ce": 1.0, "alpha": 0.5}, "leave it out"),
        ({"labels": False, "ce": 0.5}, "leave kd.ce out"),
    ],
)
def test_settings_of_kd_that_contradict_each_other(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        METHODS["kd"](**settings)


def test_kd_beside_fitnets_takes_the_place_of_its_own() -> None:
    _, last = stages_of("fitnets+kd", kd={"alpha": 0.5, "temperature": 2.0})
    assert [(term.name, term.weight) for term in last.terms] == [("kd", 0.5)]
    assert last.task_weight == pytest.approx(0.5)


SUMS: list[tuple[str, dict[str, dict[str, object]]]] = [
    ("kd+at", {}),
    ("kd+fitnets", {"fitnets": {"joint": True}}),
    ("kd+fitnets", {}),
    ("kd+feature_maps", {"feature_maps": {"last": "kd", "alpha": 0.2}, "kd": {"temperature": 2.0}}),
    ("at+feature_maps", {"feature_maps": {"last": "kd"}}),
    ("ofd+fitnets", {"fitnets": {"joint": True, "kd_weight": 0.0}}),
]


@pytest.mark.parametrize(("method", "settings"), SUMS)
def test_a_sum_does_not_depend_on_the_order(method: str, settings: dict) -> None:
    one, other = (stages_of("+".join(names), **settings) for names in (method.split("+"), reversed(method.split("+"))))
    described = [
        [(s.name, s.epochs, s.task_weight, s.teacher_mode, {(t.name, t.weight) for t in s.terms}) for s in stages]
        for stages in (one, other)
    ]
    assert described[0] == described[1]


def test_kd_beside_others_that_match_logits_is_kds_own() -> None:
    (stage,) = stages_of("kd+fitnets", fitnets={"joint": True})
    assert {term.name: term.weight for term in stage.terms}["kd"] == 0.9 and stage.task_weight == pytest.approx(0.1)
    assert [term.name for term in stage.terms].count("kd") == 1


def test_methods_with_a_loss_of_logits_keep_their_weight_of_the_labels() -> None:
    (stage,) = stages_of("at+feature_maps", feature_maps={"last": "kd", "alpha": 0.7})
    assert stage.task_weight == pytest.approx(0.3)


def test_terms_named_alike_are_refused() -> None:
    with pytest.raises(TutelageError, match="two terms 'kd'; add kd"):
        stages_of("fitnets+feature_maps", fitnets={"joint": True}, feature_maps={"last": "kd"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"joint": True, "hint_epochs": 3}, "remove fitnets.hint_epochs"), ({"final_kd_weight": 1.0}, "set both")],
)
def test_settings_that_would_be_ignored(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        METHODS["fitnets"](**settings)


@pytest.mark.parametrize(
    "names, message", [("none+kd", "'none'"), ("kd+kd", "twice"), ("kd+att", "unknown method 'att'")]
)
def test_sums_that_make_no_sense(names: str, message: str) -> None:
    with pytest.raises(TutelageError, match=message):
        parse(names)


def test_a_hint_stage_needs_an_epoch_beside_it() -> None:
    student, teacher = networks()
    with pytest.raises(TutelageError, match="raise epochs"):
        Distiller(student, teacher, "fitnets", input_size=SIZE, epochs=1)


def test_the_hint_stage_trains_the_guided_part_and_leaves_the_rest_bit_identical() -> None:
    distiller = build(Case("", "fitnets", {})).train()
    before = {name: value.clone() for name, value in distiller.student.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in distiller.parameters() if p.requires_grad], lr=1e-2)
    out = distiller(batch()[0])
    assert out.logits is None
    out.loss.backward()
    optimizer.step()
    changed = {name for name, value in distiller.student.state_dict().items() if not torch.equal(value, before[name])}
    untouched = {name for name in before if name.startswith(("layer3", "fc"))}
    assert untouched and not changed & untouched
    assert {name for name in before if name.startswith(("conv1", "layer1.0.conv", "layer2.0.conv"))} <= changed


def test_the_networks_run_no_deeper_than_the_hint() -> None:
    distiller = build(Case("", "fitnets", {})).train()
    ran: list[str] = []
    reader = distiller._reader
    for name, module in reader.named_modules():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    distiller(batch()[0])
    assert any(name.startswith("layer2") for name in ran)
    assert not any(name.startswith(("layer3", "fc")) for name in [n for n, _ in reader.named_parameters()] + ran)


def test_the_second_stage_trains_the_whole_student() -> None:
    distiller = build(Case("", "fitnets", {})).train()
    distiller.enter(1)
    assert all(p.requires_grad for p in distiller.student.parameters())
    assert not list(distiller.terms.parameters())


@pytest.mark.parametrize(
    ("method", "settings", "expected"),
    [
        ("fsp", {}, [("fsp", 1), ("task", 4)]),
        ("fsp", {"epochs": 3}, [("fsp", 3), ("task", 2)]),
        ("feature_maps", {}, [("train", 5)]),
        ("feature_maps", {"form": "hint_then_freeze"}, [("map1", 2), ("task", 3)]),
        ("feature_maps", {"form": "block_at_a_time", "count": 2}, [("map1", 1), ("map2", 1), ("task", 3)]),
    ],
)
def test_stages_share_the_epochs(method: str, settings: dict, expected: list[tuple[str, int]]) -> None:
    stages = build(Case("", method, {method: settings}, teachers=("wrn_10_1",))).stages
    assert [(stage.name, stage.epochs) for stage in stages] == expected


def test_feature_maps_keep_the_first() -> None:
    (stage,) = stages_of("feature_maps", feature_maps={"count": 2, "weight": 3.0})
    assert [term.name for term in stage.terms] == ["map.relu", "map.layer1"]
    assert [term.weight for term in stage.terms] == [3.0, 3.0]
    assert stage.task_weight == 1.0


def test_a_block_at_a_time_trains_that_block_and_nothing_else() -> None:
    case = Case("", "feature_maps", {"feature_maps": {"form": "block_at_a_time"}})
    distiller = build(case).train()
    trained = []
    for index in range(len(distiller.stages)):
        distiller.enter(index)
        distiller.train()
        before = {name: value.clone() for name, value in distiller.student.state_dict().items()}
        optimizer = torch.optim.AdamW([p for p in distiller.parameters() if p.requires_grad], lr=1e-2)
        distiller(*batch()).loss.backward()
        optimizer.step()
        after = distiller.student.state_dict()
        trained.append({name.split(".")[0] for name in before if not torch.equal(before[name], after[name])})
    assert trained == [{"conv1", "bn1"}, {"layer1"}, {"layer2"}, {"layer3"}, {"fc"}]


def test_a_parameter_outside_of_layers_is_frozen_with_what_uses_it() -> None:
    student, teacher = (create_model("timm/vit_tiny_patch16_224", CLASSES) for _ in range(2))
    method = METHODS["feature_maps"](form="block_at_a_time", count=2)
    stages = make_stages({"feature_maps": method}, student, Teacher(teacher), 224, epochs=3)
    distiller = Distiller(student, Teacher(teacher), stages)
    distiller.enter(1)
    trained = {name for name, p in student.named_parameters() if p.requires_grad}
    assert {name.split(".")[0] for name in trained} == {"blocks"}
    assert "pos_embed" in stages[1].frozen


def test_weights_move_over_their_stage() -> None:
    distiller = build(Case("", "kd+at", {"at": {"final_weight": 0.0}})).train()
    values = []
    for progress in (0.0, 0.75, 1.0):
        distiller.progress = progress
        values.append(distiller(*batch()).terms["at.layer1"].item())
    assert values[1] == pytest.approx(values[0] / 4) and values[2] == 0.0
    distiller.enter(0)
    assert distiller.progress == 0.0


def test_ofd_halves_the_weight_of_each_shallower_pair() -> None:
    (stage,) = stages_of("ofd", ofd={"divisor": 100.0})
    assert [term.weight for term in stage.terms] == pytest.approx([0.0025, 0.005, 0.01])
    assert stage.teacher_mode == "batch"
    (stage,) = stages_of("ofd+kd", ofd={"teacher_mode": "eval"})
    assert stage.teacher_mode == "eval"


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("fsp", {}, "block1 has 32 channels and the student's layer1 has 16.*fitnets, ofd.*at, nst"),
        ("fsp", {"taps": {"block1": "layer1"}}, "a matrix needs two"),
        ("fsp", {"epochs": 5}, "leave none for the last.*fsp.epochs"),
        ("feature_maps", {"count": 9}, "count=9: these networks have 4 pairs.*feature_maps.taps"),
        ("feature_maps", {"form": "block_at_a_time", "taps": TOO_MANY}, "6 stages.*epochs=5"),
    ],
)
def test_what_does_not_work_says_why(method: str, settings: dict, message: str) -> None:
    with pytest.raises(TutelageError, match=message):
        stages_of(method, **{method: settings})


def test_fsp_into_a_transformer_says_why_not() -> None:
    student, teacher = create_model("timm/test_vit", CLASSES), create_model("timm/test_resnet", CLASSES)
    with pytest.raises(TutelageError, match="channels.*FSP needs equal numbers"):
        Distiller(student, teacher, "fsp", input_size=160)


@pytest.mark.parametrize(
    "method",
    quickly(
        ["at", "nst", "ofd", "fitnets", "feature_maps", "kd+ofd", "reviewkd", "cat_kd", "sdd"], {"at", "ofd", "sdd"}
    ),
)
def test_features_go_from_a_convolutional_network_into_a_transformer(method: str) -> None:
    student, teacher = create_model("timm/test_vit", CLASSES), create_model("timm/test_resnet", CLASSES)
    distiller = Distiller(student, teacher, method, input_size=160).train()
    out = distiller(torch.rand(2, 3, 160, 160), torch.tensor([0, 1]))
    out.loss.backward()
    assert torch.isfinite(out.loss)


def test_symmetry_needs_no_teacher() -> None:
    student, _ = networks()
    method = METHODS["at_gradient"](form="symmetry")
    out = Distiller(student, None, method, input_size=SIZE).train()(*batch())
    assert set(out.terms) == {"ce", "at_gradient"}
    with pytest.raises(TutelageError, match="needs a teacher"):
        Distiller(student, None, "at_gradient", input_size=SIZE)


def test_a_label_free_kd_has_no_alpha() -> None:
    (stage,) = stages_of("kd", kd={"labels": False})
    assert stage.task_weight == 0 and stage.terms[0].weight == 1
    with pytest.raises(ValueError, match="leave kd.alpha out"):
        METHODS["kd"](labels=False, alpha=0.5)


def test_taps_by_hand() -> None:
    (stage,) = stages_of("at", at={"taps": {"block3": "layer2.0.relu2"}})
    assert [(term.teacher_taps, term.student_taps) for term in stage.terms] == [(("block3",), ("layer2.0.relu2",))]


def test_an_unknown_tap_names_the_nearest() -> None:
    with pytest.raises(TutelageError, match="layer3"):
        stages_of("at", at={"taps": {"block3": "layerr3"}})


def test_classes_that_differ_stop_before_training() -> None:
    with pytest.raises(TutelageError, match="7 classes.*5.*tutelage train"):
        Distiller(create_model("resnet8", 5), create_model("resnet8", 7), "kd", input_size=SIZE)
    out = Distiller(create_model("resnet8", 5), Teacher(create_model("resnet8", 7)), "at", input_size=SIZE)(*batch())
    assert torch.isfinite(out.loss)


def test_the_students_classifier_is_read_as_it_is_now() -> None:
    distiller = build(Case("", "cat_kd", {})).train()
    before = distiller(*batch()).terms["cat_kd"]
    before.backward()
    assert distiller.student.fc.weight.grad.abs().sum() > 0
    with torch.no_grad():
        distiller.student.fc.weight.neg_()
    assert distiller(*batch()).terms["cat_kd"] != before


def test_class_maps_need_the_classes_of_the_data_and_a_map() -> None:
    with pytest.raises(TutelageError, match="7 classes.*5"):
        Distiller(create_model("resnet8", 5), create_model("resnet8", 7), "cat_kd", input_size=SIZE)
    with pytest.raises(TutelageError, match="the classifier of VGG reads 4096 channels.*64x64 pixels.*pooled last map"):
        Distiller(create_model("resnet8", 5), create_model("torchvision/vgg11", 5), "cat_kd", input_size=64)


@pytest.mark.parametrize(
    ("method", "given", "error"),
    [
        ("crd", {}, r"method=crd needs the labels of all training samples; pass Distiller\(…, labels=labels\)"),
        ("crd", {"labels": torch.zeros(4, 5)}, r"-1 if unlabeled, not torch.float32 of shape \(4, 5\)"),
        ("semckd", {}, r"method=semckd needs the number of samples per step.*Distiller\(…, batch_size=…\)"),
    ],
)
def test_what_only_the_run_knows_is_asked_for(method: str, given: dict, error: str) -> None:
    with pytest.raises(TutelageError, match=error):
        Distiller(*networks(), method, input_size=SIZE, **given)


def test_crd_learns_whose_embedding_it_is() -> None:
    student, teacher = networks()
    crd = METHODS["crd"](negatives=30, dim=16)
    distiller = Distiller(student, teacher, crd, input_size=SIZE, labels=[0, 1, 2, 3, 4, -1] * 5)
    optimizer = torch.optim.SGD(distiller.parameters(), lr=0.05, momentum=0.9)
    images, labels = batch(6)
    with pytest.raises(TutelageError, match=r"pass distiller\(…, index=index\)"):
        distiller(images, labels)
    losses = []
    for _ in range(10):
        out = distiller(images, labels, index=torch.arange(6))
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(out.terms["crd"].item())
    assert losses[-1] < 0.7 * losses[0]


def test_mgd_masks_anew_at_each_step() -> None:
    distiller = build(Case("", "mgd", {"mgd": {"ratio": 0.5, "mask": "position"}})).train()
    first, second = (distiller(*batch()).terms["mgd.layer3"].item() for _ in range(2))
    assert first != second


def test_wkd_f_decays_in_the_last_part_of_the_run() -> None:
    (stage,) = stages_of("wkd_f", wkd_f={"weight": 1.0, "decay_from": 0.5})
    assert [stage.terms[0].weight_at(progress, epochs=4) for progress in (0.0, 0.5, 0.75)] == [1.0, 1.0, 0.5]


def test_regions_are_no_finer_than_the_smaller_map() -> None:
    student, teacher = create_model("resnet8", 5), create_model("mobilenet_v2_half", 5)
    distiller = Distiller(student, teacher, "sdd", input_size=32)
    assert distiller.targets(torch.rand(2, 3, 32, 32))[0].shape == (2, 1 + 4, 5)
    with pytest.raises(ValueError, match=r"sizes\n.*\[2, 4\] must be positive and start with 1"):
        METHODS["sdd"](sizes=(2, 4))


def test_the_labels_are_asked_for() -> None:
    with pytest.raises(TutelageError, match="labels"):
        build(Case("", "kd", {}))(batch()[0])


def test_the_first_stage_of_ft_trains_the_paraphraser_alone_and_the_second_keeps_it() -> None:
    distiller = build(Case("", "ft", {})).train()
    student = {name: value.clone() for name, value in distiller.student.state_dict().items()}
    paraphraser = distiller.stages[0].terms[0]._match.paraphraser
    start = [value.clone() for value in paraphraser.parameters()]
    for stage in (0, 1):
        distiller.enter(stage)
        optimizer = torch.optim.SGD([p for p in distiller.parameters() if p.requires_grad], lr=0.1)
        distiller(*batch()).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if stage == 0:
            assert all(torch.equal(value, student[name]) for name, value in distiller.student.state_dict().items())
            trained = [value.clone() for value in paraphraser.parameters()]
            assert not any(map(torch.equal, start, trained))
    assert all(map(torch.equal, trained, paraphraser.parameters()))
    # A run that resumes in the second stage finds the paraphraser in its checkpoint.
    saved = distiller.state_dict()
    resumed = build(Case("", "ft", {}, stage=1))
    resumed.load_state_dict(saved)
    assert all(map(torch.equal, trained, resumed.stages[1].terms[0]._target.paraphraser.parameters()))
    distiller.enter(0)
    assert all(p.requires_grad for p in paraphraser.parameters())
