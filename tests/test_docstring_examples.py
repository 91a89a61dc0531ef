"""The examples in docstrings run and print what they show."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import tutelage

PROMPT = ">>> "


def documented_modules():
    for found in pkgutil.walk_packages(tutelage.__path__, "tutelage."):
        path = found.module_finder.find_spec(found.name, None).origin
        with open(path, encoding="utf-8") as file:
            if PROMPT in file.read():
                yield found.name


def examples(module):
    """Yield the examples of a module, including those of decorated functions."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name, value in vars(module).items():
        # The finder would skip decorated functions, whose globals are those of the decorator's module.
        if (inspect.isroutine(value) or inspect.isclass(value)) and value.__module__ == module.__name__:
            yield from finder.find(value, f"{module.__name__}.{name}", module=False, globs=dict(vars(module)))


@pytest.mark.parametrize("name", list(documented_modules()))
def test_examples_print_what_they_show(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    shown = []
    for example in examples(importlib.import_module(name)):
        runner.run(example, out=shown.append)
    assert runner.tries > 0
    assert not runner.failures, "".join(shown)
