"""Words after a verb that are no settings: one message each, with the way out, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostile.conftest import Fail

WORDS: dict[str, tuple[list[str], str]] = {
    "no equals sign": (["student"], "'student' is neither key=value nor a YAML file"),
    "an empty word": ([""], "'' is neither key=value nor a YAML file"),
    "no key": (["=3"], "'=3' has no key before the ="),
    "a key of spaces": (["  =3"], "has no key before the ="),
    "a dot alone": ([".=3"], "a key cannot end with a dot"),
    "dots alone": (["...=3"], "a key cannot end with a dot"),
    "a dot first": ([".epochs=3"], "unknown key ''"),
    "a dot last": (["epochs.=3"], "a key cannot end with a dot"),
    "two dots": (["optimizer..lr=3"], "optimizer."),
    "a key within a value": (["epochs.of.the.run=3"], "epochs"),
    "a hundred levels": ([".".join(["optimizer"] * 100) + "=3"], "optimizer.optimizer"),
    "ten thousand levels": ([".".join(["a"] * 10_000) + "=3"], "unknown key 'a'"),
    "a near key": (["epoch=3"], "did you mean epochs?"),
    "a near key in a section": (["optimizer.momentun=0.9"], "did you mean optimizer.momentum?"),
    "a key of another section": (["momentum=0.9"], "optimizer.momentum"),
    "a far key": (["xyzzy=3"], "unknown key 'xyzzy': known: ab, accumulate"),
    "capitals": (["EPOCHS=3"], "unknown key 'EPOCHS'"),
    "a dash for an underscore": (["batch-size=3"], "did you mean batch_size?"),
    "a python name": (["__class__=x"], "unknown key '__class__'"),
    "a python name in a section": (["data.__init__=x"], "unknown key 'data.__init__'"),
    "a model's own attribute": (["model_config=x"], "unknown key 'model_config'"),
    "a key with a space": (["epochs =3"], "unknown key 'epochs '"),
    "an emoji": (["🐈=3"], "unknown key '🐈'"),
    "a quote that is not closed": (["out='runs"], "to use it literally, quote it"),
    "a bracket that is not closed": (["data.scale=[0.1, 1"], "to use it literally, quote it"),
    "an anchor bomb": (["data=[&a [x,x], &b [*a,*a], *b, *c]"], "*a is an alias"),
    "a tag": (["out=!!python/object/apply:os.mkdir [hacked]"], "os.mkdir"),
    "a shell command": (["seed=$(touch hacked)"], "seed=$(touch hacked)"),
    "a null byte": (["seed=1\0"], "special characters"),
    "an escape character": (["seed=\x1b[31m"], "special characters"),
    "a lone surrogate": (["seed=\udcff"], "special characters"),
    "markup": (["seed=[bold red]x[/]"], "seed=[bold red]x[/]"),
    "brackets": (["[bold]=3"], "unknown key '[bold]'"),
    "a hundred thousand letters": (["seed=" + "x" * 100_000], "(100,000 characters)"),
    "a hundred thousand letters of a key": (["x" * 100_000 + "=1"], "unknown key 'xxx"),
    "a data set of 5,000 letters": (["data=" + "x" * 5_000], "File name too long"),
    "a model of 5,000 letters": (["student=" + "x" * 5_000, "method=none"], "File name too long"),
    "weights of 5,000 letters": (["student.weights=" + "x" * 5_000 + ".pt", "method=none"], "File name too long"),
    "an output of 5,000 letters": (["out=" + "x" * 5_000, "method=none"], "File name too long"),
    "a teacher of 5,000 letters": (["teacher=" + "x" * 5_000], "File name too long"),
    "a method of 5,000 letters": (["method=" + "x" * 5_000], "unknown method"),
    "a thousand methods": (["method=" + "+".join(["kd"] * 1000)], "method=kd"),
    "a user who is not there": (["data=~nobody-here/x"], "no such user"),
    "a model of a user who is not there": (["student=~nobody-here/x", "method=none"], "no such user"),
    "weights of a user who is not there": (["student.weights=~nobody-here/x.pt", "method=none"], "no such user"),
    "an output of a user who is not there": (["out=~nobody-here/x"], "no such user"),
    "a teacher of a user who is not there": (["teacher=~nobody-here/x"], "no such user"),
    "settings of a user who is not there": (["~nobody-here/x.yaml"], "does not exist"),
    "a folder that is a file's": (["data=/dev/null/x"], "no such folder"),
    "a device": (["data=/dev/zero"], "is a file, not a folder"),
    "a teacher that is a device": (["teacher=/dev/zero"], "there is no such folder"),
    "weights that are a device": (["student.weights=/dev/zero", "method=none"], "no such file"),
    "settings that are a folder": (["folder.yaml"], "folder.yaml cannot be read"),
    "a teacher of a null byte": (['teacher="a\\0b"'], "a"),
    "data of a null byte": (['data="a\\0b"'], "no such folder"),
}


@pytest.mark.parametrize("name", WORDS)
def test_words_that_are_no_settings(name: str, fail: Fail) -> None:
    Path("folder.yaml").mkdir()
    words, expected = WORDS[name]
    message = fail("distill", "data=digits", "student=resnet8", "epochs=1", *words)
    assert expected in message, message[:1000]
    assert len(message) < 20_000
    assert not Path("hacked").exists() and not Path("runs").exists()
