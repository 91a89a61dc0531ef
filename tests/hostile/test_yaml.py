"""Files of settings that are none: each is a validation error that names the file, and nothing in it is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hostile.conftest import Fail
from tutelage.config import DistillSettings, load

START = "data: digits\nstudent: resnet8\n"


FILES: dict[str, tuple[str | bytes | Callable[[], str], str]] = {
    "an alias": (START + "out: &a x\nlog_every: *a\n", "line 4: *a is an alias; write the value out instead"),
    "an alias of a list": (START + "a: &a [x]\nloggers: [*a, *a]\n", "line 4: *a is an alias"),
    "a merged alias": (START + "optimizer: &b {lr: 0.5}\nfsp: {optimizer: {<<: *b}}\n", "line 4: *b is an alias"),
    "an alias within itself": (START + "optimizer: &a {lr: *a}\n", "line 3: *a is an alias"),
    "a merge": (START + "optimizer: {<<: {lr: 0.5}}\n", "unknown key 'optimizer.<<'"),
    "an anchor that is not there": (START + "seed: *gone\n", "line 3: *gone is an alias"),
    "python/object/apply": (START + "out: !!python/object/apply:os.mkdir [hacked]\n", "python/object/apply:os.mkdir"),
    "python/object/new": (START + "out: !!python/object/new:os.mkdir [hacked]\n", "python/object/new:os.mkdir"),
    "python/object": (START + "out: !!python/object:os.mkdir {}\n", "python/object:os.mkdir"),
    "python/name": (START + "out: !!python/name:os.mkdir ''\n", "python/name:os.mkdir"),
    "python/module": (START + "out: !!python/module:os ''\n", "python/module:os"),
    "python/tuple": (START + "out: !!python/tuple [digits]\n", "python/tuple"),
    "a tag of ours": (START + "out: !env SECRET\n", "!env"),
    "a tag of another prefix": ("%TAG !p! tag:yaml.org,2002:python/\n---\nout: !p!name:os.mkdir ''\n", "os.mkdir"),
    "binary": (START + "out: !!binary aGVsbG8=\n", "binary"),
    "a set": (START + "loggers: !!set {wandb}\n", "set"),
    "a timestamp": (START + "seed: !!timestamp 2001-01-01\n", "timestamp"),
    "a float of no number": (START + "clip: !!float x\n", "could not convert"),
    "a text of a list": (START + "out: !!str [a]\n", "expected a scalar"),
    "a key twice": (START + "epochs: 1\nepochs: 100\n", "line 4: 'epochs' appears twice"),
    "a key twice in a section": (START + "optimizer: {lr: 1, lr: 2}\n", "line 3: 'lr' appears twice"),
    "a key in two spellings": (START + "'seed': 1\nseed: 2\n", "'seed' appears twice"),
    "a list as a key": (START + "? [a]\n: 1\n", "unhashable"),
    "a section as a key": (START + "? {a: b}\n: 1\n", "unhashable"),
    "a number as a key": (START + "1: 2\n", "unknown key '1'"),
    "null as a key": (START + "~: 2\n", "unknown key 'None'"),
    "an empty key": (START + "'': 2\n", "unknown key ''"),
    "text for a number": (START + "epochs: many\n", "epochs=many"),
    "a list for a number": (START + "epochs: [1]\n", "epochs=['1']"),
    "a section for a number": (START + "epochs: {a: 1}\n", "epochs"),
    "a fraction for a whole number": (START + "epochs: 1.5\n", "epochs=1.5"),
    "a number for a section": (START + "optimizer: 3\n", "optimizer"),
    "a list for a section": (START + "schedule: [step]\n", "schedule"),
    "yes for a number": (START + "batch_size: yes\n", "batch_size=yes"),
    "a date for a number": (START + "seed: 2001-01-01\n", "seed=2001-01-01"),
    "not a number": (START + "optimizer: {lr: .nan}\n", "optimizer.lr=nan"),
    "not a number, as a word": (START + "optimizer: {lr: nan}\n", "optimizer.lr=nan"),
    "infinity": (START + "optimizer: {lr: .inf}\n", "optimizer.lr=inf"),
    "less than nothing": (START + "clip: -.inf\n", "clip=-inf"),
    "more than a float holds": (START + "optimizer: {lr: 1e999}\n", "optimizer.lr=1e999"),
    "a seed of 2^63": (START + f"seed: {2**63}\n", "seed=9223372036854775808"),
    "a number of 10,000 digits": (START + f"seed: {'9' * 10_000}\n", "seed=999"),
    "a negative number": (START + "epochs: -3\n", "epochs=-3"),
    "a size that no memory holds": ("data: {name: digits, size: 1000000000}\n", "data.size=1000000000"),
    "a million workers": ("data: {name: digits, workers: 1000000}\nstudent: resnet8\n", "data.workers=1000000"),
    "a tab for spaces": (START + "optimizer:\n\tlr: 1\n", "line 4: "),
    "a bracket that is not closed": (START + "loggers: [wandb\n", "line "),
    "a quote that is not closed": (START + "out: 'runs\n", "line "),
    "two documents": (START + "---\n" + START, "single document"),
    "an unknown directive": ("%YAML 9.9\n---\n" + START, "found incompatible YAML document"),
    "a null byte": (START.encode() + b"seed: 1\0\n", "special characters"),
    "a control character": (START + "out: a\x07b\n", "special characters"),
    "random bytes": (bytes(range(256)), "not readable as YAML"),
    "utf-16": (START.encode("utf-16"), "not readable as YAML"),
    "latin-1": ("out: caf\xe9\n".encode("latin-1"), "not readable as YAML"),
    "an image": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not readable as YAML"),
    "nothing": ("", "is empty"),
    "a comment alone": ("# nothing yet\n", "is empty"),
    "null alone": ("~\n", "is empty"),
    "a word": ("hello\n", "holds a str"),
    "a list": ("- data\n- digits\n", "holds a list"),
    "html": ("<!DOCTYPE html><html></html>\n", "holds a str"),
    "json of a list": ("[1, 2, 3]", "holds a list"),
    "ten megabytes": (lambda: START + "# " + "x" * 10_000_000, "it has 10,000,"),
    "a thousand brackets": ("data: " + "[" * 1_000, "nested too deeply"),
    "ten thousand sections": ("data: " + "{a: " * 10_000, "nested too deeply"),
    "five thousand dashes": ("- " * 5_000, "nested too deeply"),
    "a key of 10,000 letters": (START + "? " + "k" * 10_000 + "\n: 1\n", "unknown key 'kkk"),
    "a value of 10,000 letters": (START + f"epochs: {'x' * 10_000}\n", "(10,000 characters)"),
    "a thousand unknown keys": (START + "".join(f"epochz{n}: 1\n" for n in range(1000)), "and 990 more"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_settings_that_is_none(name: str, fail: Fail) -> None:
    content, expected = FILES[name]
    made = content() if callable(content) else content
    Path("my.yaml").write_bytes(made if isinstance(made, bytes) else made.encode())
    message = fail("distill", "my.yaml")
    assert expected in message, message[:1000]
    assert "my.yaml" in message or "=" in message or "unknown key" in message
    assert len(max(message.splitlines(), key=len)) < 1000
    assert not Path("hacked").exists()


def test_what_is_unusual_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_bytes(b"\xef\xbb\xbfdata: &d digits\r\nstudent: resnet8\r\nout: digits\r\n")
    read = load(DistillSettings, "my.yaml")
    assert (read.data.name, read.student.name, str(read.out)) == ("digits", "resnet8", "digits")
    Path("my.yaml").write_text('{"data": "digits", "student": "resnet8", "optimizer": {"lr": 0.5}}')
    assert load(DistillSettings, "my.yaml").optimizer.lr == 0.5
