"""The examples in docstrings run and print what they show."""

from __future__ import annotations

import doctest
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import tutelage

PROMPT = ">>> "
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def documented_modules() -> list[str]:
    root = Path(tutelage.__file__).parent
    found = [path.relative_to(root.parent) for path in root.rglob("*.py") if PROMPT in path.read_text(encoding="utf-8")]
    return sorted(".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in found)


def examples(module: ModuleType) -> Iterator[doctest.DocTest]:
    """Yield the examples of a module, including those of decorated functions."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name, value in list(vars(module).items()):
        # The finder would skip decorated functions, whose globals are those of the decorator's module.
        if (inspect.isroutine(value) or inspect.isclass(value)) and value.__module__ == module.__name__:
            yield from finder.find(value, f"{module.__name__}.{name}", module=False, globs=dict(vars(module)))


@pytest.mark.parametrize("name", documented_modules())
def test_examples_print_what_they_show(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    report: list[str] = []
    for example in examples(importlib.import_module(name)):
        runner.run(example, out=report.append)
    assert runner.tries
    assert not runner.failures, "".join(report)
