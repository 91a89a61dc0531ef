"""What a step is fed, and that it is made while the step before runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from data.pictures import picture
from tutelage.config import DistillSettings, TrainSettings, load
from tutelage.training.feeding.feed import Feed, ahead, build_feed
from tutelage.training.job.job import build_job

DIGITS = {"name": "digits", "fraction": 0.1}


def feed_of(data: Any, **settings: Any) -> Feed:
    kind = DistillSettings if "student" in settings else TrainSettings
    network = {} if "student" in settings else {"model": "resnet8"}
    return build_feed(
        build_job(load(kind, {"data": data, "batch_size": 26, **network, **settings})), torch.device("cpu")
    )


def test_all_items_come_in_order() -> None:
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead(iter(()))) == []
    assert list(ahead(iter([None, None]))) == [None, None]


def test_an_item_is_made_while_the_one_before_is_used_and_no_more() -> None:
    made = [threading.Event() for _ in range(6)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    for number in ahead(items()):
        if number + 1 < len(made):
            # It is made by now, or will be while we wait here.
            assert made[number + 1].wait(timeout=60)
        # Nothing asks for the one after next before this one is done.
        assert not any(event.is_set() for event in made[number + 2 :])


def test_nothing_is_made_before_it_is_asked_for() -> None:
    made: list[int] = []
    batches = ahead(number for number in range(3) if made.append(number) is None)
    assert made == []
    assert next(batches) == 0
    batches.close()  # type: ignore[attr-defined]


def test_an_exception_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield 0
        yield 1
        raise ValueError("the third is broken")

    batches = ahead(items())
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(ValueError, match="the third is broken"):
        next(batches)
    assert list(batches) == []


@pytest.mark.parametrize("end", ["exhausted", "closed", "forgotten", "raised"])
def test_the_thread_ends_with_the_batches(end: str) -> None:
    before = threading.active_count()
    finished = threading.Event()

    def items() -> Iterator[int]:
        try:
            for number in range(4):
                if end == "raised" and number == 2:
                    raise ValueError
                yield number
        finally:
            finished.set()

    batches = ahead(items())
    assert next(batches) == 0
    assert threading.active_count() == before + 1
    if end == "closed":
        batches.close()  # type: ignore[attr-defined]
    elif end == "exhausted":
        assert list(batches) == [1, 2, 3]
    elif end == "raised":
        with pytest.raises(ValueError):
            list(batches)
    del batches
    assert threading.active_count() == before
    assert finished.is_set()


def test_batches_are_the_same_with_and_without_stored_targets() -> None:
    feed = feed_of({**DIGITS, "randaugment": 1})
    asked = []

    def stored(view: int, rows: np.ndarray) -> list[Tensor] | None:
        asked.append((view, rows.tolist()))
        return [torch.from_numpy(rows).float()] if len(asked) != 2 else None

    plain, fed = list(feed.epoch(3)), list(feed.epoch(3, stored))
    assert len(plain) == len(fed) == 5
    for one, other in zip(plain, fed):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert np.array_equal(one.rows, other.rows)
    assert [each.targets for each in plain] == [None] * 5
    assert fed[1].targets is None
    found = [each.targets[0].tolist() for each in fed if each.targets is not None]
    assert found == [each.rows.tolist() for each in fed[:1] + fed[2:]]
    assert asked == [(3, each.rows.tolist()) for each in fed]


def test_images_are_bytes_with_channels_last_at_the_places_they_name() -> None:
    feed = feed_of({**DIGITS, "augment": False})
    samples = feed.loader.split.samples
    for fed in feed.epoch(0):
        assert fed.images.dtype == torch.uint8
        assert fed.images.is_contiguous(memory_format=torch.channels_last)
        (again,) = feed.read([fed.rows], 0)
        assert torch.equal(again.images, fed.images)
        assert np.array_equal(fed.labels.numpy(), samples.labels[fed.rows])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of many sizes, which are cropped as they are decoded."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("cat", "dog"):
        (folder / name).mkdir()
        for number in range(13):
            picture(number, 40 + number, 60 - number).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.parametrize("kind", ["packed", "decoded"])
def test_views_repeat_while_the_order_does_not(kind: str, pictures: Path) -> None:
    data = DIGITS if kind == "packed" else {"name": str(pictures), "size": 24, "workers": 0, "validation": 0.2}
    teacherless: dict[str, Any] = {"student": "resnet8", "method": "none", "batch_size": 10, "epochs": 2}

    def images(feed: Feed, epoch: int) -> dict[int, Tensor]:
        return {int(row): image for fed in feed.epoch(epoch) for row, image in zip(fed.rows, fed.images)}

    turn, everyone = feed_of(data, **teacherless, cache={"views": 2}), feed_of(data, **teacherless)
    epochs = [images(turn, epoch) for epoch in range(4)]
    same, different = 0, 0
    for row in epochs[0].keys() & epochs[1].keys() & epochs[2].keys():
        assert torch.equal(epochs[0][row], epochs[2][row])
        same += 1
        different += not torch.equal(epochs[0][row], epochs[1][row])
    assert same >= 10
    assert different > 0.5 * same
    assert list(epochs[0]) != list(epochs[2])
    for epoch in range(2):
        own = images(everyone, epoch)
        assert list(own) == list(epochs[epoch])
        assert all(torch.equal(own[row], image) for row, image in epochs[epoch].items())
    third = images(everyone, 2)
    assert any(not torch.equal(third[row], image) for row, image in epochs[2].items())


def test_an_index_is_a_place_in_the_training_set() -> None:
    feed = feed_of(DIGITS)
    train = feed.data.train
    assert 0 < len(train) < len(train.samples.labels)  # other rows are held out
    seen = []
    for fed in feed.epoch(0):
        assert fed.labels.equal(train.labels[fed.numbers])
        large = fed.labels.numpy() > 4
        assert fed.part(large).numbers.tolist() == fed.numbers[large].tolist()
        seen.extend(fed.numbers.tolist())
    assert sorted(seen) == list(range(len(train)))
