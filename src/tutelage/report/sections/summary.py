"""Summary of the results in text."""

from __future__ import annotations

from statistics import fmean

from tutelage.report.material.groups import Group, difference_from_alone
from tutelage.report.material.material import Material
from tutelage.report.page.blocks import Block, Details, Figures, Section, Words
from tutelage.report.page.wording import chance, plural, signed
from tutelage.study import Difference
from tutelage.training.evaluation import IMBALANCED


def summary(material: Material) -> Section:
    """Return the first section, a summary in text."""
    sentences = [_what(material), _result(material), _choice(material), _gain(material)]
    blocks: list[Block] = [Words(text) for text in sentences if text]
    blocks.insert(0, Figures(_figures(material)))
    if material.missing:
        blocks.append(Details("Not shown in this report", [Words(reason) for reason in material.missing]))
    return Section("summary", "Summary", blocks)


def _figures(material: Material) -> list[tuple[str, str, str, str]]:
    focus, alone, result = material.focus, material.alone, material.run.result
    unit = f"top-1 on {material.split}"
    items = [(f"{focus.row.student}, {focus.method}", f"{focus.row.mean:.2f} %", _spread(focus) + unit, "student")]
    if focus.row.teacher_top1 is not None:
        items.append((f"teacher {material.teacher_name}", f"{focus.row.teacher_top1:.2f} %", unit, "teacher"))
    if alone is not None:
        items.append((f"{alone.row.student} alone", f"{alone.row.mean:.2f} %", _spread(alone) + unit, "alone"))
    shown = _may_be_said(difference_from_alone(focus, material.groups))
    closed = focus.row.gap_closed(alone.row) if alone is not None and shown else None
    if closed is not None and closed > 0:
        items.append(("gap closed", f"{closed:.0f} %", "from student alone to teacher", "student"))
    if result.teacher_parameters:
        share = 100 * result.parameters / result.teacher_parameters
        items.append(("size", f"{share:.3g} %", "of the teacher's parameters", "student"))
    return items


def _spread(group: Group) -> str:
    return f"± {group.row.deviation:.2f}, " if group.row.deviation is not None else ""


def _what(material: Material) -> str:
    result = material.run.result
    size = f"{result.parameters:,} parameters"
    train = f"{len(material.data.train):,} training images of " if material.data is not None else ""
    where = f"on {train}{result.data}, {plural(result.epochs, 'epoch')}"
    if material.focus.alone:
        return f"{result.student} ({size}) was trained without a teacher {where}."
    teacher_size = f" ({result.teacher_parameters:,})" if result.teacher_parameters else ""
    under = f"from {result.teacher}{teacher_size} " if result.teacher else ""
    return f"{result.student} ({size}) was distilled {under}with the method {material.focus.method} {where}."


def _result(material: Material) -> str:
    focus, result = material.focus, material.run.result
    spread = f", mean ± standard deviation of {focus.seeds}" if len(focus.runs) > 1 else ", one seed"
    text = f"It reaches {focus.row.figure} % top-1 on the {result.split} split ({result.rule}{spread})."
    if result.balanced_top1 is not None and result.majority is not None and result.majority > IMBALANCED:
        text += (
            f" Its balanced accuracy is {result.balanced_top1:.2f} %; {result.majority:.2f} % of the images belong to "
            f"one class."
        )
    if focus.row.teacher_top1 is not None:
        text += f" The teacher reaches {focus.row.teacher_top1:.2f} %."
        agreement = [run.result.agreement for run in focus.runs if run.result.agreement is not None]
        if agreement and not focus.alone:
            text += f" Both predict the same class for {fmean(agreement):.1f} % of the images."
    elif result.teacher is not None and not focus.alone:
        text += " The teacher has no classifier for these classes."
        recorded = material.run.teacher
        if recorded.get("top1") is not None:
            text += f" The {recorded['measure']} is {recorded['top1']:.2f} % on {recorded['split']}."
    return text


def _choice(material: Material) -> str:
    rivals = [group for group in material.groups if not group.alone]
    if len(rivals) < 2:
        return ""
    return (
        f"It has the highest mean of the {len(rivals)} distilled students and is therefore shown in detail. It was "
        f"selected on the images it is measured on, so its accuracy is slightly optimistic."
    )


def _gain(material: Material) -> str:
    focus, alone = material.focus, material.alone
    if focus.alone:
        return ""
    if alone is None:
        return (
            "The effect of the teacher cannot be measured: there is no run of the same student alone (method=none, "
            "other settings equal) to compare with."
        )
    found = difference_from_alone(focus, material.groups)
    gap = _gap(focus, alone) if _may_be_said(found) else ""
    return f"{_difference(focus, alone, found)} {gap}"


def _may_be_said(found: Difference | None) -> bool:
    """Return whether to mention the gap, which is pointless if the seeds show no difference."""
    return found is None or found.shown


def _difference(focus: Group, alone: Group, found: Difference | None) -> str:
    gain = focus.row.mean - alone.row.mean
    student = f"the same student alone ({alone.row.figure} %, {alone.seeds})"
    if found is None:
        text = f"gained {gain:.2f} points over" if gain > 0 else f"did not help: the result is {-gain:.2f} points below"
        several = min(len(focus.runs), len(alone.runs)) > 1
        why = (
            "All seeds have the same accuracy, so the difference cannot be tested; use a larger test split."
            if several
            else "One seed cannot distinguish this difference from chance; train both with at least three seeds."
        )
        return f"In these runs distillation {text} {student}. {why}"
    numbers = f"95 % confidence interval {signed(found.low)} to {signed(found.high)}, Welch's t-test, {chance(found.p)}"
    if not found.shown:
        return f"The difference from {student} is {signed(gain)} points ({numbers}); the seeds do not show an effect."
    if gain < 0:
        return f"Distillation did not help here: {student} is {-gain:.2f} points better ({numbers})."
    return f"Distillation gains {gain:.2f} points over {student} ({numbers})."


def _gap(focus: Group, alone: Group) -> str:
    teacher, closed = focus.row.teacher_top1, focus.row.gap_closed(alone.row)
    if teacher is None:
        return ""
    if closed is None:
        return "The teacher is not better than the student alone, so there is no gap to close."
    if closed < 0:
        return f"The gap to the teacher grew by {-closed:.0f} %."
    return f"Distillation closes {closed:.0f} % of the gap between the student alone and the teacher."
