"""Methods joined by ``+``: one list of stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tutelage.errors import TutelageError
from tutelage.methods.base import METHODS, Method, Pair
from tutelage.methods.kd import KD, KD_TERM
from tutelage.terms import Stage, Term


def parse(names: str) -> list[str]:
    """Splits ``kd+at`` into registered names; raises :class:`TutelageError` for an unknown, repeated or lonely one."""
    parts = [part.strip() for part in names.split("+")]
    if "" in parts:
        raise TutelageError(f"method={names}: a name is missing beside '+'")
    for part in parts:
        METHODS[part]
    if len(set(parts)) < len(parts):
        raise TutelageError(f"method={names} names a method twice")
    if "none" in parts and len(parts) > 1:
        raise TutelageError(f"method={names}: 'none' is the student alone and joins nothing; drop it")
    return parts


def plan(methods: Mapping[str, Method], pair: Pair) -> list[Stage]:
    """Returns the stages of a sum of methods, whatever the order of their names.

    At most one method may have several stages: they are kept, and the terms of the others join its last one. Where
    ``kd`` is in the sum, the cross-entropy weighs 1 − α there, and other methods' own KD terms (FitNets') give way to
    it; elsewhere it weighs the least that a method of the sum says, 1 as a rule. The teacher is in mode ``batch`` where
    one of the joined methods asks for it. Raises :class:`TutelageError` where two methods name a term alike.
    """
    planned = {name: method.stages(pair) for name, method in methods.items()}
    staged = [name for name, stages in planned.items() if len(stages) > 1]
    if len(staged) > 1:
        raise TutelageError(f"{' and '.join(staged)} both have stages of their own: a sum can hold one such method")
    joined = [stages[-1] for stages in planned.values()]
    kd = methods.get("kd")
    terms = [term for name, stages in planned.items() for term in stages[-1].terms if kd is None or _stays(term, name)]
    _require_different(terms, planned)
    *before, last = planned[staged[0]] if staged else joined[:1]
    task_weight = 1 - kd.weight if isinstance(kd, KD) else min(stage.task_weight for stage in joined)
    last = replace(last, terms=tuple(terms), task_weight=task_weight)
    if any(stage.teacher_mode == "batch" for stage in joined):
        last = replace(last, teacher_mode="batch")
    return [*before, last]


def _stays(term: Term, method: str) -> bool:
    """Whether a method's term stays beside ``kd``, whose own takes the place of the others' KD terms."""
    return method == "kd" or term.name != KD_TERM


def _require_different(terms: Sequence[Term], methods: Iterable[str]) -> None:
    twice = [name for name, count in Counter(term.name for term in terms).items() if count > 1]
    if twice:
        way_out = "add kd, whose term stands for both" if twice[0] == KD_TERM else "give one of them other taps"
        names = "+".join(methods)
        raise TutelageError(f"method={names} has two terms '{twice[0]}': {way_out}, or leave one method out")
