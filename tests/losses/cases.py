"""The table of losses that test_table.py checks one and all: a new loss is one more row."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from oracles.ab import ab
from oracles.attention import attention, gradient_attention
from oracles.cat_kd import cat_kd
from oracles.cc import cc
from oracles.crd import crd
from oracles.ctkd import ctkd
from oracles.deit import deit
from oracles.dist import dist
from oracles.dkd import dkd
from oracles.fsp import fsp
from oracles.ft import ft
from oracles.gkl import gkl
from oracles.hint import hint
from oracles.ickd import ickd
from oracles.itrd import itrd
from oracles.kd import kd
from oracles.kdsvd import kdsvd
from oracles.ldrld import ldrld
from oracles.mgd import mgd
from oracles.nkd import nkd, target_class
from oracles.norm import norm
from oracles.nst import nst
from oracles.ofa import ofa
from oracles.ofd import ofd
from oracles.pefd import pefd
from oracles.pkt import pkt
from oracles.reviewkd import reviewkd
from oracles.rkd import rkd
from oracles.rld import rld
from oracles.sdd import sdd, sdd_nkd
from oracles.semckd import semckd
from oracles.skd import skd
from oracles.sp import sp
from oracles.srd import srd
from oracles.srrl import srrl
from oracles.ttm import ttm
from oracles.vid import vid
from oracles.vitkd import vitkd
from oracles.vkd import vkd
from oracles.wkd_f import wkd_f
from oracles.wkd_l import wkd_l
from oracles.wsld import wsld
from tutelage import losses

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A loss, its two halves where it has them, and its oracle, all of (*student tensors, *teacher tensors, labels)."""

    name: str
    loss: Callable[..., Tensor]
    oracle: Callable[..., float]
    students: tuple[Shape, ...]
    teachers: tuple[Shape, ...]
    target: Callable[..., Tensor] | None = None
    match: Callable[..., Tensor] | None = None
    classes: int | None = None
    """If the loss takes labels, the number of classes; the labels (B,) are its last argument."""
    # False where the gradient is by design not that of the value (a detached bandwidth)
    plain_gradient: bool = True
    # True where a sample's loss depends on the rest of the batch: halves then do not average to the whole
    relational: bool = False
    # False where networks that agree still have a loss: a cross-entropy, a sharpened or clipped target
    zero_if_equal: bool = True

    def inputs(self, dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[list[Tensor], list[Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        students = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in self.students]
        teachers = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in self.teachers]
        return [s.to(dtype) for s in students], [t.to(dtype) for t in teachers]

    @property
    def labels(self) -> list[Tensor]:
        """The labels as further arguments: none, or (B,)."""
        if self.classes is None:
            return []
        return [torch.randint(self.classes, self.students[0][:1], generator=torch.Generator().manual_seed(0))]


def accepting(function: Callable[..., Tensor], options: dict[str, Any]) -> Callable[..., Tensor]:
    """``function`` with those of the options that its signature names."""
    names = inspect.signature(function).parameters
    return partial(function, **{name: value for name, value in options.items() if name in names})


def row(
    family: str,
    oracle: Callable[..., float],
    student: Shape | tuple[Shape, ...],
    teacher: Shape | tuple[Shape, ...],
    plain_gradient: bool = True,
    relational: bool = False,
    classes: int | None = None,
    zero_if_equal: bool = True,
    **options: Any,
) -> Case:
    """A case whose loss and halves are ``family``_loss, _target and _match; ``size`` goes to the halves alone.

    A loss on logits without halves of its own has ``kd_target``, and is the match.
    """
    students, teachers = _shapes(student), _shapes(teacher)
    loss = getattr(losses, f"{family}_loss")
    listed = {key: value.tolist() if isinstance(value, Tensor) else value for key, value in options.items()}
    shown = ",".join(f"{key}={value}" for key, value in listed.items())
    return Case(
        name=f"{family}({shown}) {student} {teacher}".replace(" ", ""),
        loss=accepting(_in_pairs if family == "fsp" else loss, {k: v for k, v in options.items() if k != "size"}),
        oracle=partial(oracle, **{key: value for key, value in listed.items() if key != "size"}),
        students=students,
        teachers=teachers,
        target=accepting(getattr(losses, f"{family}_target", losses.kd_target), options),
        match=accepting(getattr(losses, f"{family}_match", loss), options),
        classes=classes,
        plain_gradient=plain_gradient,
        relational=relational,
        zero_if_equal=zero_if_equal,
    )


def _shapes(shape: Any) -> tuple[Shape, ...]:
    return shape if isinstance(shape[0], tuple) else (shape,)


def _in_pairs(s_a: Tensor, s_b: Tensor, t_a: Tensor, t_b: Tensor, form: Any = "paper", pool: Any = "max") -> Tensor:
    return losses.fsp_loss((s_a, s_b), (t_a, t_b), form=form, pool=pool)


def _in_levels(*maps: Tensor) -> Tensor:
    levels = len(maps) // 2
    return losses.reviewkd_loss(maps[:levels], maps[levels:])


def _two_by_two(attention: Tensor, *maps: Tensor) -> Tensor:
    return losses.semckd_loss((maps[:2], maps[2:4]), maps[4:], attention)


def _masked(
    low: Tensor, high: Tensor, teacher_low: Tensor, teacher_high: Tensor, mask: Tensor, **options: float
) -> Tensor:
    return losses.vitkd_loss(low, high, mask > 0, teacher_low, teacher_high, **options)


def _kd(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    return losses.kd_loss(student, teacher, temperature=2.0)


def _crd(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """CRD trains an embedding of the teacher, too; here it is fixed."""
    return losses.crd_loss(student, teacher.detach(), LOG_Z.to(student), n_data=20, temperature=temperature)


def _kdsvd(s_a: Tensor, s_b: Tensor, t_a: Tensor, t_b: Tensor) -> Tensor:
    return losses.kdsvd_loss((s_a, s_b), (t_a, t_b))


CLASSES = torch.tensor([[1.0, -0.5, 0.25], [0.5, 2.0, -1.0]], dtype=torch.float64)


def _classifier(embeddings: Tensor) -> Tensor:
    return embeddings @ CLASSES.to(embeddings).mT


MAP = (2, 3, 2, 3)
LARGE = (2, 3, 4, 6)  # of MAP, a whole multiple
ODD = (2, 3, 5, 2)  # against MAP: higher, and narrower, by no whole ratio
WIDE = (2, 7, 2, 3)  # more channels than MAP has positions
PAIR = ((2, 3, 6, 6), (2, 4, 3, 3))
COST = torch.tensor([[1e-8, 0.25, 0.5], [0.25, 1e-8, 0.125], [0.5, 0.125, 1e-8]])
LEVELS = ((2, 2, 6, 5), (2, 3, 2, 3), (2, 4, 1, 1))
MARGIN = torch.tensor([-0.25, -0.5, -1.0])
MEANS = torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.125, 0.125, 0.75]])
LOG_Z = torch.tensor([1.5, 2.5], dtype=torch.float64)
RHO = torch.tensor([0.5, 1.0, 3.0])

CASES = [
    row("kd", kd, (4, 7), (4, 7)),
    row("kd", kd, (2, 3), (2, 3), temperature=1.0),
    row("kd", kd, (4, 7), (4, 7), temperature=2.0, standardize=True),
    row("hint", hint, MAP, MAP),
    *[
        row("hint", hint, student, teacher, form=form, size=size)
        for form in ("mean", "paper", "normalized")
        for student, teacher, size in ((MAP, LARGE, (2, 3)), (LARGE, MAP, None), (ODD, MAP, (2, 2)))
    ],
    row("attention", attention, MAP, MAP),
    row("attention", attention, WIDE, MAP, form="paper"),
    *[
        row("attention", attention, student, teacher, form=form, p=p, size=size)
        for form, p in (("code", 2), ("code", 1), ("paper", 3))
        for student, teacher, size in ((MAP, LARGE, (2, 3)), (ODD, WIDE, (2, 2)))
    ],
    Case("gradient_attention", losses.gradient_attention_loss, gradient_attention, (MAP,), (MAP,)),
    *[
        row("nst", nst, student, teacher, size=size, **options)
        for options in (
            {},
            {"kernel": "linear"},
            {"kernel": "polynomial", "degree": 3, "offset": 0.5},
            {"kernel": "polynomial", "degree": 2, "offset": 1.0},
            {"kernel": "gaussian", "bandwidth": 0.7},
        )
        for student, teacher, size in ((MAP, MAP, None), (MAP, WIDE, None), (WIDE, LARGE, (2, 3)), (ODD, WIDE, (2, 2)))
    ],
    row("nst", nst, (2, 5, 2, 3), (2, 6, 2, 3)),  # as many channels as positions
    row("nst", nst, MAP, WIDE, plain_gradient=False, kernel="gaussian"),
    row("nst", nst, ODD, LARGE, plain_gradient=False, kernel="gaussian", size=(4, 2)),
    *[
        row("fsp", fsp, PAIR, teacher, form=form, pool=pool)
        for form in ("paper", "mean")
        for pool in ("max", "avg")
        for teacher in (PAIR, ((2, 3, 4, 4), (2, 4, 7, 3)))
    ],
    Case("reviewkd", _in_levels, reviewkd, LEVELS, LEVELS),
    row("simkd", hint, MAP, LARGE, size=(2, 3)),
    row("simkd", hint, ODD, MAP, size=(2, 2)),
    row("cat_kd", cat_kd, LARGE, ODD),
    row("cat_kd", cat_kd, LARGE, LARGE, resolution=3, normalize=False),
    Case("sdd", partial(losses.sdd_loss, loss=_kd), sdd, ((4, 5, 3),), ((4, 5, 3),), classes=3),
    Case("sdd_nkd", losses.sdd_nkd_loss, sdd_nkd, ((4, 5),), ((4, 5),), classes=5, zero_if_equal=False),
    row("norm", norm, (2, 6, 2, 3), LARGE, size=(2, 3)),
    row("norm", norm, (2, 9, 5, 2), MAP, size=(2, 2)),
    row("mgd", mgd, MAP, LARGE, size=(2, 3)),
    row("mgd", mgd, ODD, MAP, size=(2, 2)),
    row("wkd_f", wkd_f, MAP, LARGE),
    row("wkd_f", wkd_f, ODD, LARGE, ratio=4.0, grid=2, eps=1e-3),
    Case("semckd", _two_by_two, semckd, ((2, 2, 2), MAP, MAP, LARGE, MAP), (MAP, ODD)),
    row("vkd", vkd, (4, 5), (4, 5), zero_if_equal=False),
    row("ofa", ofa, (4, 5), (4, 5), classes=5, zero_if_equal=False),
    row("ofa", ofa, (4, 5), (4, 5), classes=5, zero_if_equal=False, eps=1.3, temperature=2.0),
    row("deit", deit, (4, 5), (4, 5), zero_if_equal=False),
    Case(
        "vitkd",
        partial(_masked, alpha=0.5, beta=2.0, ratio=0.25),
        partial(vitkd, alpha=0.5, beta=2.0, ratio=0.25),
        ((2, 2, 4, 3), (2, 4, 3)),
        ((2, 2, 4, 3), (2, 4, 3), (2, 4)),
    ),
    row("ofd", ofd, MAP, MAP, margin=MARGIN, zero_if_equal=False),
    row("ofd", ofd, MAP, LARGE, margin=MARGIN, size=(2, 3)),
    row("ofd", ofd, ODD, MAP, margin=MARGIN, size=(2, 2)),
    row("dkd", dkd, (4, 7), (4, 7), classes=7),
    row("dkd", dkd, (4, 7), (4, 7), classes=7, alpha=2.0, beta=0.5, temperature=1.5, standardize=True),
    row("dist", dist, (4, 7), (4, 7), relational=True, zero_if_equal=False),  # its 1e-8 is seen in float32
    row("dist", dist, (4, 3), (4, 3), relational=True, zero_if_equal=False, beta=2.0, gamma=0.5, temperature=1.0),
    row("target_class", target_class, (4, 7), (4, 7), classes=7, zero_if_equal=False),
    row("nkd", nkd, (4, 7), (4, 7), classes=7, zero_if_equal=False),
    row("nkd", nkd, (4, 3), (4, 3), classes=3, zero_if_equal=False, gamma=2.0, temperature=4.0),
    row("ttm", ttm, (4, 7), (4, 7), zero_if_equal=False),
    row("ttm", ttm, (4, 7), (4, 7), zero_if_equal=False, gamma=0.2, weighted=True),
    row("rld", rld, (4, 7), (4, 7), classes=7, zero_if_equal=False),
    row("rld", rld, (4, 7), (4, 7), classes=7, zero_if_equal=False, alpha_temperature=4.0, standardize=True),
    row("skd", skd, (4, 7), (4, 7), relational=True),
    row("skd", skd, (4, 3), (4, 3), relational=True, temperature=1.0, ridge=0.5, form="paper"),
    row("ctkd", ctkd, (4, 7), (4, 7), temperature=torch.tensor([2.5])),
    row("ctkd", ctkd, (4, 7), (4, 7), temperature=torch.tensor([7.5]), standardize=True),
    row("gkl", gkl, (4, 7), (4, 7), classes=7, relational=True, zero_if_equal=False),
    row("gkl", gkl, (4, 3), (4, 3), classes=3, relational=True, zero_if_equal=False, class_means=MEANS, gamma=0.5),
    row("gkl", gkl, (4, 3), (4, 3), classes=3, zero_if_equal=False, class_means=MEANS, temperature=1.0, version=1),
    row("wsld", wsld, (4, 7), (4, 7), classes=7, plain_gradient=False, zero_if_equal=False),
    row("ldrld", ldrld, (4, 9), (4, 9)),
    row("ldrld", ldrld, (4, 5), (4, 5), alpha=1.0, k=2, temperature=1.5),
    row("wkd_l", wkd_l, (4, 3), (4, 3), classes=3, zero_if_equal=False, cost=COST),
    row("wkd_l", wkd_l, (4, 3), (4, 3), classes=3, zero_if_equal=False, cost=COST, weight=5.0, reg=0.2, iterations=3),
    row("ofd", ofd, MAP, MAP, margin=MARGIN, zero_if_equal=False),
    row("ofd", ofd, MAP, LARGE, margin=MARGIN, size=(2, 3)),
    row("ofd", ofd, ODD, MAP, margin=MARGIN, size=(2, 2)),
    row("rkd", rkd, (4, 3), (4, 5), relational=True),
    row("rkd", rkd, (4, 3), (4, 3), relational=True, w_d=1.0, w_a=2.0),
    row("sp", sp, (4, 3, 2, 2), (4, 5, 3, 1), relational=True),
    row("sp", sp, (4, 3, 2, 2), (4, 3, 2, 2), relational=True),
    row("pkt", pkt, (4, 3), (4, 5), relational=True),
    row("pkt", pkt, (4, 3), (4, 3), relational=True),
    row("cc", cc, (4, 3), (4, 5), relational=True),
    row("cc", cc, (4, 3), (4, 3), relational=True, gamma=0.7, order=3),
    row("vid", vid, MAP, LARGE, rho=RHO, size=(2, 3)),
    row("vid", vid, MAP, MAP, rho=RHO, zero_if_equal=False),
    *[
        Case(
            f"crd(temperature={temperature})",
            partial(_crd, temperature=temperature),
            partial(crd, log_z=LOG_Z.tolist(), n_data=20, temperature=temperature),
            ((4, 3),),
            ((4, 3),),
            zero_if_equal=False,
        )
        for temperature in (0.07, 1.0)
    ],
    row("ickd", ickd, MAP, LARGE),
    row("ickd", ickd, WIDE, WIDE),
    *[
        Case(f"kdsvd{students}{teachers}".replace(" ", ""), _kdsvd, kdsvd, students, teachers)
        for students, teachers in (
            (((2, 3, 2, 3), (2, 4, 3, 2)), ((2, 3, 3, 3), (2, 4, 2, 3))),
            (((2, 5, 2, 2), (2, 3, 2, 1)), ((2, 5, 2, 2), (2, 3, 2, 1))),
        )
    ],
    *[
        Case(
            f"itrd({','.join(f'{key}={value}' for key, value in options.items())})",
            partial(losses.itrd_loss, **options),
            partial(itrd, **options),
            ((4, 3),),
            ((4, 3),),
            relational=True,
            zero_if_equal=False,
        )
        for options in ({"lambda_mutual": 0.0}, {"lambda_corr": 0.0, "lambda_mutual": 1.0}, {"alpha_it": 1.01})
    ],
    *[
        Case(
            f"srrl(weight={weight}){teacher}".replace(" ", ""),
            lambda s, t, w=weight: losses.srrl_loss(s, t, _classifier, weight=w),
            partial(srrl, classes=CLASSES.tolist(), weight=weight),
            (MAP,),
            (teacher,),
            losses.srrl_target,
            lambda s, t, w=weight: losses.srrl_match(s, t, _classifier, weight=w),
        )
        for weight, teacher in ((1.0, MAP), (0.5, LARGE))
    ],
    row("pefd", pefd, (4, 3), (4, 3)),
    row("srd", srd, (4, 3), (4, 3), relational=True, zero_if_equal=False),
    row("srd", srd, (4, 3), (4, 3), relational=True, zero_if_equal=False, exponent=2.5, bn_eps=0.1),
    row("ft", ft, MAP, LARGE, size=(2, 3)),
    row("ft", ft, MAP, MAP, form="repdistiller"),
    row("ft", ft, ODD, WIDE, form="repdistiller", size=(2, 2)),
    row("ab", ab, MAP, LARGE, size=(2, 3)),
    row("ab", ab, ODD, MAP, margin=2.0, size=(2, 2)),
]
