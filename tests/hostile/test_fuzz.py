"""Settings drawn at random, from the real keys and from junk: valid settings or one clear error, nothing else."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tutelage import TutelageError
from tutelage.config import DistillSettings, TrainSettings, dump, keys, load
from tutelage.config.text import parse
from tutelage.config.words import words

reproducible = partial(
    settings, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

KINDS = st.sampled_from([TrainSettings, DistillSettings])
KEYS = [key.name for kind in (TrainSettings, DistillSettings) for key in keys(kind)]
JUNK = st.text(max_size=12) | st.sampled_from(
    ["nan", ".inf", "-1", "1e999", "0x10", "null", "~", "yes", "[1, 2]", "{a: b}", "!!python/name:os.system x", "&a *a"]
    + ["digits", "resnet8", "sgd", "kd+at", "kd+", "+", "cosine", "0.5", "3", "[]", "[[]]", "{}", "9" * 400, "'", "\0"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | JUNK
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(JUNK, inner, max_size=3), max_leaves=6
)
NAMES = st.sampled_from(KEYS) | st.sampled_from(KEYS).map(lambda key: key[:-1]) | JUNK
SECTIONS = st.sampled_from(sorted({key.partition(".")[0] for key in KEYS if "." in key}))
FIELDS = st.sampled_from(sorted({key.rpartition(".")[2] for key in KEYS})) | JUNK
TREES = st.dictionaries(
    NAMES | SECTIONS, VALUES | st.dictionaries(FIELDS, VALUES, max_size=3), max_size=4
)  # fmt: skip
WORDS = st.lists(
    st.builds("{}={}".format, NAMES, JUNK) | st.text(max_size=10) | st.builds("{}=".format, NAMES), max_size=4
)
GIVEN = {"data": "digits", "model": "resnet8"}


def either(kind: Any, *layers: Any) -> None:
    """Loads them: a clear error, or settings that their YAML and their words give again."""
    base = dict(GIVEN) if kind is TrainSettings else {"data": "digits", "student": "resnet8"}
    try:
        read = load(kind, base, *layers)
    except TutelageError as error:
        assert str(error).strip() and len(str(error)) < 20_000
        return
    assert load(kind, yaml.safe_load(dump(read))) == read
    assert load(kind, *words(read)) == read


@reproducible(max_examples=60)
@given(KINDS, TREES)
def test_mappings(kind: Any, tree: dict[str, Any]) -> None:
    either(kind, tree)


@reproducible(max_examples=150)
@given(KINDS, WORDS)
def test_words(kind: Any, given_words: list[str]) -> None:
    either(kind, *(word for word in given_words if "=" in word or not word.endswith((".yaml", ".yml"))))


@reproducible(max_examples=50)
@given(kind=KINDS, tree=TREES)
def test_files(kind: Any, tree: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8", errors="replace")
    either(kind, tmp_path / "my.yaml")


@reproducible(max_examples=150)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@`#,? \n\t0.~", max_size=40))
def test_texts(text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        assert str(error).strip()


@reproducible(max_examples=40)
@given(content=st.binary(max_size=60))
def test_bytes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_bytes(content)
    either(DistillSettings, tmp_path / "my.yaml")
