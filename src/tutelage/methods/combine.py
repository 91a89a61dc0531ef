"""Parse sums of methods such as ``kd+at``, and merge their stages into one list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch.nn as nn

from tutelage.errors import TutelageError
from tutelage.methods.base import METHODS, Method, Pair
from tutelage.methods.kd import KD, KD_TERM
from tutelage.terms import Stage, Term


def methods_by_name(method: str | Method | Mapping[str, Method]) -> dict[str, Method]:
    """Return methods by name.

    Args:
        method: A string such as ``kd+at``, which stands for the methods with default settings; one method; or methods
            by name.

    Raises:
        TutelageError: If a string names unknown methods; see ``parse``.

    Example:
        >>> methods_by_name("kd+at")
        {'kd': KD(temperature=4.0, alpha=0.9, ...), 'at': AT(weight=None, ...)}
        >>> list(methods_by_name(METHODS["kd"](temperature=2.0)))
        ['kd']
    """
    if isinstance(method, str):
        return {name: METHODS[name]() for name in parse(method)}
    if isinstance(method, Method):
        return {next((name for name in METHODS if METHODS[name] is type(method)), type(method).__name__): method}
    return dict(method)


def parse(names: str) -> list[str]:
    """Split a sum such as ``kd+at`` into the names of registered methods.

    Raises:
        TutelageError: If a name is unknown, missing or repeated, or ``none`` is combined with another.

    Example:
        >>> parse("kd + at")
        ['kd', 'at']
    """
    parts = [part.strip() for part in names.split("+")]
    if "" in parts:
        raise TutelageError(f"method={names}: a name is missing next to '+'; write it as in kd+at")
    for part in parts:
        METHODS[part]
    if len(set(parts)) < len(parts):
        raise TutelageError(f"method={names} names a method twice; remove one")
    if "none" in parts and len(parts) > 1:
        raise TutelageError(f"method={names}: 'none' trains the student alone and cannot be combined; remove it")
    return parts


def deployed(methods: Mapping[str, Method], pair: Pair) -> nn.Module:
    """Return the network that a sum of methods trains and deploys: the student, or what a method makes of it.

    Args:
        methods: The methods by name, as ``methods_by_name`` returns them.
        pair: The probed networks.

    Raises:
        TutelageError: If two methods add something to the student, or it does not fit.

    Example:
        >>> from tutelage.models import create_model
        >>> from tutelage.taps import Probe
        >>> student, teacher = (Probe(create_model(name, 5), (16, 16)) for name in ("resnet8", "resnet14"))
        >>> deployed(methods_by_name("kd"), Pair(student, teacher, epochs=10)) is student.model
        True
    """
    deploying = [name for name, method in methods.items() if method.deploys]
    if len(deploying) > 1:
        what = " and ".join(f"{name} deploys {methods[name].deploys}" for name in deploying)
        raise TutelageError(f"{what}, and a sum can contain only one such method; remove one")
    return methods[deploying[0]].deployed(pair) if deploying else pair.student.model


def plan(methods: Mapping[str, Method], pair: Pair) -> list[Stage]:
    """Return the stages of a sum of methods. The order of the methods does not matter.

    * At most one method may have several stages. The terms of the other methods are added to its last stage.
    * If the sum contains ``kd``, the cross-entropy of that stage has the weight ``kd.ce``, by default 1 − α, and ``kd``
      replaces the KD terms of other methods (FitNets). Otherwise the cross-entropy has the smallest of the methods'
      weights, usually 1.
    * The stage has the teacher mode ``batch`` if one of the methods needs it, and freezes what one of them freezes.

    Args:
        methods: The methods by name, as ``methods_by_name`` returns them.
        pair: The probed networks.

    Raises:
        TutelageError: If two methods have several stages, or two terms have the same name.

    Example:
        >>> from tutelage.models import create_model
        >>> from tutelage.taps import Probe
        >>> student, teacher = (Probe(create_model(name, 5), (16, 16)) for name in ("resnet8", "resnet14"))
        >>> pair = Pair(student, teacher, epochs=10)
        >>> [[term.name for term in stage.terms] for stage in plan(methods_by_name("kd+fitnets"), pair)]
        [['hint.layer2'], ['kd']]
    """
    planned = {name: method.stages(pair) for name, method in methods.items()}
    staged = [name for name, stages in planned.items() if len(stages) > 1]
    if len(staged) > 1:
        raise TutelageError(
            f"{' and '.join(staged)} have several stages each, and a sum can contain only one such method; remove one"
        )
    joined = [stages[-1] for stages in planned.values()]
    kd = methods.get("kd")
    terms = [term for name, stages in planned.items() for term in stages[-1].terms if kd is None or _stays(term, name)]
    _require_different(terms, planned)
    *before, last = planned[staged[0]] if staged else joined[:1]
    task_weight = kd.ce_weight if isinstance(kd, KD) else min(stage.task_weight for stage in joined)
    frozen = tuple(dict.fromkeys(name for stage in joined for name in stage.frozen))
    last = replace(last, terms=tuple(terms), task_weight=task_weight, frozen=frozen)
    if any(stage.teacher_mode == "batch" for stage in joined):
        last = replace(last, teacher_mode="batch")
    return [*before, last]


def _stays(term: Term, method: str) -> bool:
    """Return whether a method's term is kept in a sum with ``kd``, which replaces the KD terms of other methods."""
    return method == "kd" or term.name != KD_TERM


def _require_different(terms: Sequence[Term], methods: Iterable[str]) -> None:
    twice = [name for name, count in Counter(term.name for term in terms).items() if count > 1]
    if twice:
        way_out = "add kd, whose term replaces both" if twice[0] == KD_TERM else "use different taps"
        names = "+".join(methods)
        raise TutelageError(f"method={names} has two terms '{twice[0]}'; {way_out}, or remove one method")
