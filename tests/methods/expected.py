"""What each case of the harness computes, from the papers' equations: naive oracles, and reading by hooks."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.cases import CLASSES, SAMPLES, Case, index_of
from oracles.ab import ab
from oracles.attention import attention, gradient_attention
from oracles.cat_kd import cat_kd
from oracles.cc import cc
from oracles.crd import crd
from oracles.ctkd import ctkd
from oracles.dist import dist
from oracles.dkd import dkd
from oracles.fsp import fsp
from oracles.ft import ft
from oracles.gkl import gkl
from oracles.hint import hint
from oracles.ickd import ickd
from oracles.itrd import correlation, mutual
from oracles.kd import kd, soften
from oracles.kdsvd import kdsvd
from oracles.ldrld import ldrld
from oracles.mgd import mgd
from oracles.nkd import nkd, target_class
from oracles.norm import norm
from oracles.nst import nst
from oracles.ofd import ofd, ofd_margin
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
from oracles.wkd_f import wkd_f
from oracles.wkd_l import wkd_l, wkd_l_cost
from oracles.wsld import wsld
from tutelage.distillation import Distiller
from tutelage.models import extension_of

STAGES = ("layer1", "layer2", "layer3")
BLOCKS = ("block1", "block2", "block3")
SUMS = ("layer1.0.relu2:in", "layer2.0.relu2:in", "layer3.0.relu2:in")
NORMS = ("block2.0.bn1", "block3.0.bn1", "bn")
STEMS = ("relu", "conv1")
EMBEDDING = "fc:in"


def read(network: nn.Module, images: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """Reads what modules give, or take (``NAME:in``), by hooks: another way than the package's own taps."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        module = network.get_submodule(name.removesuffix(":in"))
        if name.endswith(":in"):
            return module.register_forward_pre_hook(lambda _, args: found.update({name: args[0]}))
        return module.register_forward_hook(lambda _, __, output: found.update({name: output}))

    handles = [keep(name) for name in names]
    found["logits"] = network(images)
    for handle in handles:
        handle.remove()
    return found


class Networks:
    """Copies of a distiller's networks, and what is read of them for a batch."""

    def __init__(self, distiller: Distiller, images: Tensor, labels: Tensor) -> None:
        assert distiller.teacher is not None
        self.distiller, self.images, self.labels = distiller, images, labels
        student = copy.deepcopy(distiller.student).requires_grad_(False).train()
        for name in distiller.stage.frozen:
            student.get_submodule(name).eval()
        teachers = [copy.deepcopy(member.network) for member in distiller.teacher.members]
        # In eval mode but for normalisations, which take the batch's statistics: the networks have no dropout.
        batch_teacher = copy.deepcopy(teachers[0]).train()
        named = (*BLOCKS, *NORMS, "conv1", "block1:in", "relu", EMBEDDING)
        t_names = [name for name in named if hasattr(teachers[0], "block1")]
        # In an extended student, layer3.0 is layer3.
        s_names = [*STAGES, *SUMS[: 2 if extension_of(student) else 3], "relu", EMBEDDING]
        s_names += ["layer3.1.expand"] * hasattr(student.layer3[-1], "expand")
        with torch.no_grad():
            self.s = read(copy.deepcopy(student), images, s_names)
            self.t = read(teachers[0].eval(), images, t_names)
            self.t_batch = read(batch_teacher, images, t_names)
            self.t_logits = [teacher.eval()(images) for teacher in teachers]
        self.j_s = self._image_gradient(student)
        self.j_t = self._image_gradient(teachers[0].eval())
        self.j_mirrored = self._image_gradient(student, mirror=True)

    def ce(self) -> float:
        return F.cross_entropy(self.s["logits"], self.labels).item()

    def kd(self, temperature: float = 4.0, teacher: Tensor | None = None) -> float:
        teacher = self.t["logits"] if teacher is None else teacher
        return kd(self.s["logits"].tolist(), teacher.tolist(), temperature)

    def on_logits(self, oracle: Callable[..., float], *labels: list[int], **options: object) -> float:
        return oracle(self.s["logits"].tolist(), self.t["logits"].tolist(), *labels, **options)

    def connected(self, term: str) -> list:
        """The student's feature behind the connector of ``term``."""
        found = next(each for each in self.distiller.stage.terms if each.name == term)
        tap = found.student_taps[0]
        feature = self.s[EMBEDDING if tap == "embedding" else tap.replace(".add", ".relu2:in")]
        with torch.no_grad():
            connected = copy.deepcopy(found.connector).train()(feature)
        return [each.tolist() for each in connected] if isinstance(connected, tuple) else connected.tolist()

    def reviewkd(self) -> float:
        """The maps of all levels and the embedding, behind the connector, against the teacher's."""
        (term,) = self.distiller.stage.terms
        features = [*(self.s[layer] for layer in STAGES), self.s["fc:in"]]
        with torch.no_grad():
            fused = copy.deepcopy(term.connector).train()(*features)
        teacher = [*(self.t[norm] for norm in NORMS), self.t["fc:in"][..., None, None]]
        return reviewkd(*(maps.tolist() for maps in (*fused, *teacher)))

    def classified(self, last_maps: Callable[[Tensor], Tensor]) -> list[list]:
        """What the classifiers of student and teacher make of their last maps, after ``last_maps``: (B, …, D)."""
        assert self.distiller.teacher is not None
        networks = self.distiller.student, self.distiller.teacher.members[0].network
        with torch.no_grad():
            return [
                network.fc(last_maps(features)).tolist()
                for network, features in zip(networks, (self.s["layer3"], self.t["relu"]))
            ]

    def cat_kd(self) -> float:
        maps = self.classified(lambda features: features.movedim(1, 3))
        return cat_kd(*(torch.tensor(each).movedim(3, 1).tolist() for each in maps))

    def sdd(self, sizes: tuple[int, ...], loss: Callable[..., float]) -> float:
        regions = self.classified(lambda features: torch.cat([cells(features, size) for size in sizes], dim=1))
        return sdd(*regions, self.labels.tolist(), loss)

    def hint(self, term: str, teacher: str, form: str = "mean") -> float:
        return hint(self.connected(term), self.t[teacher].tolist(), form)

    def last_maps(self) -> tuple[list, list]:
        return self.s["layer3"].tolist(), self.t["block3"].tolist()

    def embeddings(self) -> tuple[list, list]:
        return self.s[EMBEDDING].tolist(), self.t[EMBEDDING].tolist()

    def vid(self, term: str, block: str) -> float:
        mean, rho = self.connected(term)
        return vid(mean, self.t[block].tolist(), rho)

    def srrl(self) -> float:
        assert self.distiller.teacher is not None
        classes = self.distiller.teacher.members[0].network.fc.weight.tolist()  # the bias cancels
        maps = [[[[value]] for value in sample] for sample in self.t[EMBEDDING].tolist()]
        return srrl(self.connected("srrl"), maps, classes)

    def crd(self) -> float:
        """The loss of the first batch, whose mean makes Z."""
        match = copy.deepcopy(self.distiller.stage.terms[0]._match)
        banks = [bank.tolist() for bank in (match.memory.teacher_bank, match.memory.student_bank)]
        rows = match.contrast(index_of(self.images)).tolist()
        anchors = self.connected("crd"), F.normalize(match.embedding(self.t[EMBEDDING]), dim=1).tolist()
        similarities = [
            [[sum(a * b for a, b in zip(anchor, bank[row])) for row in chosen] for anchor, chosen in zip(each, rows)]
            for each, bank in zip(anchors, banks)
        ]
        powers = [[math.exp(value / 0.07) for row in each for value in row] for each in similarities]
        log_z = [math.log(SAMPLES * sum(each) / len(each)) for each in powers]
        return crd(*similarities, log_z, SAMPLES)

    def semckd(self) -> float:
        """All levels, with attention from the batch's dot products, filled up with zeros."""
        connector = copy.deepcopy(self.distiller.stage.terms[0]._match.connector).train()
        students, teachers = [self.s[layer] for layer in STAGES], [self.t[block] for block in BLOCKS]

        def embedded(network: nn.Module, maps: Tensor) -> Tensor:
            products = torch.zeros(len(maps), connector.batch_size, dtype=maps.dtype)
            for i, one in enumerate(maps):
                for j, other in enumerate(maps):
                    products[i, j] = (one * other).sum()
            return F.normalize(network(products), dim=1)

        with torch.no_grad():
            queries = [embedded(*each) for each in zip(connector.queries, students)]
            keys = [embedded(*each) for each in zip(connector.keys, teachers)]
            products = [torch.stack([(query * key).sum(1) for key in keys], dim=1) for query in queries]
            attention = torch.stack([each.softmax(1) for each in products], dim=1)
            projected, _ = connector(students, teachers)
        return semckd(attention.tolist(), *(maps.tolist() for maps in (*sum(projected, []), *teachers)))

    def reconstruction(self) -> float:
        paraphraser = self.distiller.stage.terms[0]._match.paraphraser
        with torch.no_grad():
            given = paraphraser.decoder(paraphraser.encoder(self.t["block3"]))
        return (given - self.t["block3"]).abs().mean().item()

    def factor(self) -> list:
        with torch.no_grad():
            return self.distiller.stage.terms[0]._target.paraphraser.encoder(self.t["block3"]).tolist()

    def ab(self) -> dict[str, float]:
        names = ["ab." + tap.replace(".relu2:in", ".add") for tap in SUMS]
        return {
            name: 0.003 * 0.5 ** (2 - deep) * ab(self.connected(name), self.t[norm].tolist())
            for deep, (name, norm) in enumerate(zip(names, NORMS))
        }

    def pairs(self, prefix: str, oracle: object, weight: float, **options: object) -> dict[str, float]:
        return {
            f"{prefix}.{layer}": weight * oracle(self.s[layer].tolist(), self.t[block].tolist(), **options)
            for layer, block in zip(STAGES, BLOCKS)
        }

    def attention(self) -> dict[str, float]:
        """The attention terms with their default weight: the last maps, of 4×4, weigh less."""
        terms = self.pairs("at", attention, 1000)
        return {**terms, "at.layer3": terms["at.layer3"] * (16 / 49) ** 2}

    def ofd(self, features: dict[str, Tensor]) -> dict[str, float]:
        assert self.distiller.teacher is not None
        network = self.distiller.teacher.members[0].network
        values = {}
        for weight, tap, before in zip((0.25, 0.5, 1.0), SUMS, NORMS):
            module = network.get_submodule(before)
            margin = ofd_margin(module.weight.tolist(), module.bias.tolist())
            name = "ofd." + tap.replace(".relu2:in", ".add")
            values[name] = weight / 1000 * ofd(self.connected(name), features[before].tolist(), margin)
        return values

    def _image_gradient(self, network: nn.Module, mirror: bool = False) -> list:
        images = (self.images.flip(3) if mirror else self.images).clone().requires_grad_()
        F.cross_entropy(copy.deepcopy(network)(images), self.labels, reduction="sum").backward()
        assert images.grad is not None
        return (images.grad.flip(3) if mirror else images.grad).tolist()


def cells(features: Tensor, size: int) -> Tensor:
    """The means of size × size windows, (B, size², C)."""
    return F.adaptive_avg_pool2d(features, size).flatten(2).mT


def mean_probability(logits: list[Tensor], temperature: float) -> Tensor:
    """Logits whose softened probabilities are the mean of the teachers'."""
    soft = [[soften(row, temperature) for row in each.tolist()] for each in logits]
    mean = torch.tensor(soft, dtype=torch.float64).mean(0)
    return temperature * mean.log()


def expected_terms(case: Case, distiller: Distiller, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Returns the weighted terms that ``distiller`` must give for a batch."""
    n = Networks(distiller, images, labels)
    ce = n.ce()
    match case.name:
        case "none":
            return {"ce": ce}
        case "kd" | "fitnets-kd":
            return {"ce": 0.1 * ce, "kd": 0.9 * n.kd()}
        case "kd-label-free":
            return {"kd": n.kd()}
        case "kd-ensemble-logits":
            return {"ce": 0.1 * ce, "kd": 0.9 * n.kd(teacher=torch.stack(n.t_logits).mean(0))}
        case "kd-ensemble-probabilities":
            return {"ce": 0.1 * ce, "kd": 0.9 * n.kd(teacher=mean_probability(n.t_logits, 4.0))}
        case "kd-standardized":
            return {"ce": 0.1 * ce, "kd": 9 * n.on_logits(kd, temperature=2.0, standardize=True)}
        case "at":
            return {"ce": ce, **n.attention()}
        case "at-paper-max":
            return {"ce": ce, **n.pairs("at", attention, 0.1, form="paper", p=1, reduce="max")}
        case "kd+at":
            return {"ce": 0.1 * ce, "kd": 0.9 * n.kd(), **n.attention()}
        case "at_gradient":
            return {"ce": ce, "at_gradient": 0.1 * gradient_attention(n.j_s, n.j_t)}
        case "at_gradient-symmetry":
            return {"ce": ce, "at_gradient": 0.1 * gradient_attention(n.j_s, n.j_mirrored)}
        case "nst":
            return {"ce": ce, **n.pairs("nst", nst, 50)}
        case "nst-gaussian":
            return {"ce": ce, **n.pairs("nst", nst, 2, kernel="gaussian", bandwidth=0.5)}
        case "nst-last":
            value = nst(n.s[SUMS[-1]].tolist(), n.t["bn"].tolist(), kernel="linear")
            return {"ce": ce, "nst.layer3.0.add": 50 * value}
        case "fsp":
            s = [n.s[tap].tolist() for tap in ("relu", *STAGES)]
            t = [n.t[tap].tolist() for tap in ("conv1", *BLOCKS)]
            return {f"fsp.{layer}": fsp(s[i], s[i + 1], t[i], t[i + 1]) for i, layer in enumerate(STAGES)}
        case "ofd":
            return {"ce": ce, **n.ofd(n.t_batch)}
        case "ofd-eval":
            return {"ce": ce, **n.ofd(n.t)}
        case "kd+ofd":
            return {"ce": 0.1 * ce, "kd": 0.9 * n.kd(teacher=n.t_batch["logits"]), **n.ofd(n.t_batch)}
        case "reviewkd":  # in the first of 20 epochs of warm-up
            return {"ce": ce, "reviewkd": n.reviewkd() / 20}
        case "cat_kd":
            return {"ce": ce, "cat_kd": 400 * n.cat_kd()}
        case "simkd":
            return {"simkd": hint(n.s["layer3"].tolist(), n.t["relu"].tolist())}
        case "norm":  # in the first step of its weight
            return {"ce": 0.1 * ce, "norm": 0.1 * norm(n.s["layer3.1.expand"].tolist(), n.t["block3"].tolist())}
        case "sdd":
            return {"ce": 0.1 * ce, "sdd": 0.9 * n.sdd((1, 2, 4), lambda s, t, _: kd(s, t, 4.0))}
        case "sdd-dkd":  # in the first of 5 epochs of warm-up
            return {"ce": ce, "sdd": n.sdd((1, 2), partial(dkd, beta=2.0)) / 5}
        case "sdd-nkd":
            return {"ce": 0.5 * ce, "sdd": n.sdd((1, 2, 4), sdd_nkd) / 20}
        case "mgd":
            return {"ce": ce, "mgd.layer3": 7e-5 * mgd(n.connected("mgd.layer3"), n.t["block3"].tolist())}
        case "wkd_f":
            value = wkd_f(n.connected("wkd_f.layer3"), n.t["block3"].tolist(), ratio=4.0, grid=2)
            return {"ce": ce, "wkd_f.layer3": 0.02 * value}
        case "fitnets-hint":
            return {"hint.layer2": 100 * n.hint("hint.layer2", "block2")}
        case "fitnets-paper-hint":
            return {"hint.layer2": n.hint("hint.layer2", "block2", "paper")}
        case "fitnets-paper-kd":
            # Halfway through the stage: λ is 2.5; the loss without its factor T² is that of T = 3 over 9.
            return {"ce": ce, "kd": 2.5 * n.kd(3.0) / 9}
        case "fitnets-joint":
            hints = {f"hint.{STAGES[i]}": 10 * n.hint(f"hint.{STAGES[i]}", BLOCKS[i], "normalized") for i in (1, 2)}
            return {"ce": ce, **hints, "kd": 10 / CLASSES * n.kd(6.0)}
        case "feature_maps":
            taps = zip(("relu", *STAGES), ("conv1", *BLOCKS))
            return {"ce": ce, **{f"map.{ours}": n.hint(f"map.{ours}", theirs) for ours, theirs in taps}}
        case "feature_maps-block":
            return {"map.layer2": n.hint("map.layer2", "block2")}
        case "feature_maps-task":
            return {"ce": 0.1 * ce, "kd": 0.9 * n.kd()}
        case "dkd":
            return {"ce": ce, "dkd": n.on_logits(dkd, labels.tolist()) / 20}
        case "dist":
            return {"ce": ce, "dist": 2 * n.on_logits(dist)}
        case "ttm":
            return {"ce": ce, "ttm": 4 * n.on_logits(ttm, gamma=0.2, weighted=True)}
        case "nkd":
            return {"ce": ce, "nkd": n.on_logits(nkd, labels.tolist())}
        case "rld":
            return {"ce": ce, "rld": n.on_logits(rld, labels.tolist()) / 20}
        case "skd":
            return {"ce": 0.1 * ce, "skd": 0.9 * n.on_logits(skd)}
        case "ctkd":
            temperature = [1 + 20 / (1 + math.exp(-1))]
            return {"ce": 0.1 * ce, "ctkd": 0.9 * n.on_logits(ctkd, temperature)}
        case "gkl" | "gkl-sample":
            means = None if case.name == "gkl-sample" else [[1 / CLASSES] * CLASSES] * CLASSES
            return {"ce": ce, "gkl": n.on_logits(gkl, labels.tolist(), class_means=means) / 20}
        case "wkd_l":
            cost = wkd_l_cost(distiller.teacher.members[0].network.fc.weight.tolist())
            of_label = n.on_logits(target_class, labels.tolist())
            whole = n.on_logits(wkd_l, labels.tolist(), cost=cost)
            return {"ce": ce, "wkd_l.label": of_label, "wkd_l": whole - of_label}
        case "wsld":
            return {"ce": ce, "wsld": n.on_logits(wsld, labels.tolist())}
        case "ldrld":
            return {"ce": ce, "ldrld": n.on_logits(ldrld, k=3)}
        case "rkd":
            return {"ce": ce, "rkd": rkd(*n.embeddings())}
        case "sp":
            return {"ce": ce, "sp.layer3": 3000 * sp(*n.last_maps())}
        case "pkt":
            return {"ce": ce, "pkt": 30000 * pkt(*n.embeddings())}
        case "vid":
            return {"ce": ce, **{f"vid.{STAGES[i]}": n.vid(f"vid.{STAGES[i]}", BLOCKS[i]) for i in range(3)}}
        case "ickd":
            return {"ce": ce, "ickd.layer3": 2.5 * ickd(n.connected("ickd.layer3"), n.t["block3"].tolist())}
        case "srrl":
            return {"ce": ce, "srrl": n.srrl()}
        case "pefd":
            return {"ce": ce, "pefd": 25 * pefd(n.connected("pefd"), n.t[EMBEDDING].tolist())}
        case "srd":
            return {"ce": ce, "srd": 2 * srd(n.connected("srd"), n.t[EMBEDDING].tolist()), "kd": n.kd(1.0)}
        case "ft-paraphraser":
            return {"paraphraser.block3": n.reconstruction()}
        case "ft":
            return {"ce": ce, "ft.layer3": 500 * ft(n.connected("ft.layer3"), n.factor())}
        case "ft-repdistiller":
            return {"ce": ce, "ft.layer3": 200 * ft(n.connected("ft.layer3"), n.factor(), "repdistiller")}
        case "ab":
            return n.ab()
        case "cc":
            return {"ce": ce, "cc": 100 * cc(*n.embeddings())}
        case "crd" | "crd-relax":
            return {"ce": ce, "crd": 0.8 * n.crd()}
        case "semckd":
            return {"ce": ce, "semckd": 400 * n.semckd()}
        case "kdsvd":
            s, t = (n.s["relu"], n.s["layer1"]), (n.t["conv1"], n.t["block1"])
            return {"ce": ce, "kdsvd": kdsvd(*(value.tolist() for value in (*s, *t)))}
        case "itrd":
            (embedded, _), target = n.connected("itrd"), n.t[EMBEDDING].tolist()
            return {"ce": ce, "itrd": 2 * correlation(embedded, target, 1.5) + 0.05 * mutual(embedded, target)}
    raise AssertionError(f"write down what {case.name} computes")
