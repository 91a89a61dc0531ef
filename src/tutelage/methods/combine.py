"""Methods joined by ``+``: one list of stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tutelage.errors import TutelageError
from tutelage.methods.base import METHODS, Method, Pair
from tutelage.methods.kd import KD
from tutelage.terms import Stage


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
    """Returns the stages of a sum of methods.

    At most one method may have several stages: they are kept, and the terms of the others join its last one. There the
    cross-entropy weighs 1 − α where ``kd`` is in the sum, and what the staged method says (else 1) where it is not; a
    method's own term that another of the sum names too (FitNets' KL beside ``kd``) gives way to the latter. The
    teacher is in mode ``batch`` where one of the joined methods asks for it.
    """
    planned = {name: method.stages(pair) for name, method in methods.items()}
    staged = [name for name, stages in planned.items() if len(stages) > 1]
    if len(staged) > 1:
        raise TutelageError(f"{' and '.join(staged)} both have stages of their own: a sum can hold one such method")
    base = staged[0] if staged else next(iter(planned))
    *before, last = planned.pop(base)
    joining = [term for stages in planned.values() for term in stages[-1].terms]
    taken = {term.name for term in joining}
    kept = [term for term in last.terms if term.name not in taken]
    soft = [method.weight for method in methods.values() if isinstance(method, KD)]
    task_weight = 1 - soft[0] if soft else last.task_weight
    last = replace(last, terms=(*kept, *joining), task_weight=task_weight)
    if any(stages[-1].teacher_mode == "batch" for stages in planned.values()):
        last = replace(last, teacher_mode="batch")
    return [*before, last]
