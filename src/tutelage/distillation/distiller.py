"""``Distiller``, the module that is trained: a student and its connectors, with a teacher, one stage at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.distillation.base import BaseTeacher
from tutelage.distillation.reading import ReadNothing, modules_at, places_of, read_batch, read_taps
from tutelage.distillation.sharding import hand_back, is_sharded, shard_layers
from tutelage.distillation.stages import deploy, make_stages
from tutelage.distillation.task import task_loss
from tutelage.distillation.teacher import Teacher
from tutelage.errors import TutelageError
from tutelage.methods import Method
from tutelage.models import is_within
from tutelage.taps import set_unregistered, tapped, unregistered
from tutelage.terms import EPOCH, INDEX, LABELS, LOGITS, Stage, Target, epoch_at

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

TASK = "ce"
"""The name of the term for the cross-entropy with the labels."""


class DistillerOutput(NamedTuple):
    """The result of a forward pass of :class:`Distiller`.

    Example:
        >>> from tutelage import create_model
        >>> distiller = Distiller(create_model("resnet8", 5), create_model("resnet14", 5), "kd", input_size=16)
        >>> loss, logits, terms = distiller(torch.rand(4, 3, 16, 16), torch.tensor([0, 1, 2, -1]))
        >>> logits.shape, sorted(terms)
        (torch.Size([4, 5]), ['ce', 'kd'])
    """

    loss: Tensor
    """The sum of the terms, a scalar."""
    logits: Tensor | None
    """(B, K); None in a stage that stops before the student's head."""
    terms: dict[str, Tensor]
    """The weighted terms by name, scalars."""


class Distiller(nn.Module):
    """A student with its teacher: ``out = distiller(images, labels)``, then ``out.loss.backward()``, in any loop.

    Its parameters are those of the student and of the current stage's connectors. The teacher is held outside the
    module tree, so no optimizer, checkpoint or wrapper for several processes ever sees it; ``.to(device)`` moves it
    along.

    Args:
        student: The network to train. A method that adds something to the deployed student (``simkd``, ``norm``)
            extends a copy of it: save ``distiller.student``.
        teacher: A :class:`Teacher` or :class:`Teachers`, or a plain network, which then gets the same images as the
            student. None for a method without a teacher.
        method: A name (``kd``), names joined by ``+`` (``kd+at``), a :class:`Method` with your own settings, several
            of them by name, or a list of stages. A method with several stages starts in its first one; call
            ``enter(1)`` and so on when a stage is done.
        input_size: (H, W) or side of the images, for the shapes at the taps; by default the size that the student is
            made for.
        normalization: Applied to the student's images; by default they are passed unchanged.
        label_smoothing: Label smoothing of the cross-entropy, in [0, 1).
        class_weights: Class weights of the cross-entropy, one per class.
        epochs: Length of the run, divided among the stages of a method (``distiller.stages[i].epochs``).
        labels: Labels (N,) of all training samples, −1 if unlabeled; only needed by ``crd``.
        batch_size: Samples per step over all processes; only needed by ``semckd``.

    Raises:
        TutelageError: If a method or tap does not exist, the teacher returns NaN, or a term reads the logits of a
            teacher with another number of classes than the student.

    Example:
        >>> from tutelage import create_model
        >>> student, teacher = create_model("resnet8", 5), create_model("resnet14", 5)
        >>> distiller = Distiller(student, teacher, "kd+at", input_size=16)
        >>> optimizer = torch.optim.SGD(distiller.parameters(), lr=0.1)
        >>> out = distiller(torch.rand(4, 3, 16, 16), torch.tensor([0, 1, 2, 3]))
        >>> out.loss.backward()
        >>> optimizer.step()
        >>> sorted(out.terms)
        ['at.layer1', 'at.layer2', 'at.layer3', 'ce', 'kd']
    """

    class_weights: Tensor | None
    _teacher: Teacher | None
    _reader: nn.Module

    def __init__(
        self,
        student: nn.Module,
        teacher: BaseTeacher | nn.Module | None,
        method: str | Method | Mapping[str, Method] | Sequence[Stage] = "kd",
        *,
        input_size: int | tuple[int, int] | None = None,
        normalization: nn.Module | None = None,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        epochs: int = 100,
        labels: Sequence[int] | Tensor | None = None,
        batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if teacher is not None and not isinstance(teacher, BaseTeacher):
            if not isinstance(teacher, nn.Module):
                raise TutelageError(
                    f"expected an nn.Module as teacher, got {type(teacher).__name__}: "
                    f"build a network with tutelage.create_model"
                )
            teacher = Teacher(teacher)
        set_unregistered(self, "_teacher", teacher)
        self.normalization = normalization if normalization is not None else nn.Identity()
        self.label_smoothing = label_smoothing
        weights = torch.tensor(class_weights) if class_weights is not None else None
        self.register_buffer("class_weights", weights, persistent=False)  # stored in the settings, not in checkpoints
        if isinstance(method, (str, Method, Mapping)):
            student = deploy(method, student, teacher, input_size)
            numbers = torch.as_tensor(labels) if labels is not None else None
            method = make_stages(method, student, teacher, input_size, epochs, numbers, batch_size)
        self.student = student
        self.stages = list(method)
        self.progress = 0.0
        """Fraction of the stage that is done, from 0 to 1. Set it if a term's weight changes over its stage."""
        self.enter(0)

    @property
    def teacher(self) -> BaseTeacher | None:
        """The teacher, or several as one; None if the student learns alone."""
        return self._teacher

    @property
    def term_names(self) -> list[str]:
        """The names of the current stage's terms, the cross-entropy first if the stage has one."""
        return [TASK] * (self.stage.task_weight > 0) + [term.name for term in self.stage.terms]

    def enter(self, index: int) -> Stage:
        """Start stage ``index`` and return it: set its terms, truncate student and teacher, freeze other parameters.

        Raises:
            TutelageError: If the weights are sharded, because :meth:`shard` lasts for one stage.
        """
        if is_sharded(self.student):
            raise TutelageError(
                f"stage '{self.stages[index].name}' cannot follow here, because the student's weights are sharded; "
                f"gather them, and create a Distiller of that stage alone (docs/clusters.md)"
            )
        stage = self.stages[index]
        self.stage = stage
        self.progress = 0.0
        somewhere = next(self.student.parameters())
        self.terms = nn.ModuleList(stage.terms).to(somewhere.device, somewhere.dtype)
        self.student.requires_grad_(True)
        frozen_modules = stage.frozen_modules(self.student)
        self._places = places_of(self.student, stage.student_taps)
        logits = stage.student_logits or LOGITS in self._places.values()
        modules = modules_at(self._places)
        read = bool(modules) or logits
        reader = tapped(self.student, modules, logits=logits, frozen=frozen_modules) if read else ReadNothing()
        reached = {id(parameter) for parameter in reader.parameters()}
        for name, parameter in self.student.named_parameters():
            parameter.requires_grad_(id(parameter) in reached and not is_within(name, stage.frozen))
        # Unregistered, because the reader shares every parameter and buffer with the student.
        set_unregistered(self, "_reader", reader)
        if self.teacher is not None and stage.needs_teacher:
            self.teacher.read(stage.teacher_taps, stage.teacher_logits, stage.teacher_mode, stage.teacher_computed)
        self.train(self.training)
        return stage

    def forward(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        targets: Sequence[Target] | None = None,
        index: Tensor | None = None,
    ) -> DistillerOutput:
        """Return loss, logits and weighted terms of a batch.

        Args:
            images: (B, 3, H, W), in the range that the normalizations expect.
            labels: (B,), −1 if unlabeled, or soft labels (B, K); not needed in a stage without cross-entropy.
            targets: The result of :meth:`targets` for these images; by default the teacher computes it.
            index: (B,), the numbers of the samples in the training set, from 0; only needed if a term reads them
                (``Stage.needs_index``).

        Raises:
            TutelageError: If the stage needs labels or an index, and none are passed.
        """
        if labels is None and (self.stage.task_weight > 0 or self.stage.terms_need_labels):
            raise TutelageError(f"stage '{self.stage.name}' needs labels; pass distiller(images, labels)")
        if index is None and self.stage.needs_index:
            raise TutelageError(f"stage '{self.stage.name}' needs the samples' numbers; pass distiller(…, index=index)")
        if targets is None:
            targets = self.targets(images, labels)
        return self.compare(self.features(images, labels), labels, targets, index)

    def compare(
        self,
        features: dict[str, Tensor],
        labels: Tensor | None,
        targets: Sequence[Target],
        index: Tensor | None = None,
    ) -> DistillerOutput:
        """Return loss, logits and weighted terms, given the student's :meth:`features` and the targets of a batch."""
        values: dict[str, Tensor] = {}
        if self.stage.task_weight > 0:
            assert labels is not None
            values[TASK] = self.stage.task_weight * task_loss(
                features[LOGITS], labels, self.label_smoothing, self.class_weights
            )
        given = {LABELS: labels, INDEX: index, EPOCH: torch.tensor(epoch_at(self.progress, self.stage.epochs))}
        read = {**features, **{tap: value for tap, value in given.items() if value is not None}}
        for term, target in zip(self.stage.terms, targets):
            values[term.name] = term.weight_at(self.progress, self.stage.epochs) * term(read, target)
        loss = sum(values.values(), start=torch.zeros(()))  # a scalar can be added to tensors on any device
        return DistillerOutput(loss, features.get(LOGITS), values)

    def targets(self, images: Tensor, labels: Tensor | None = None) -> list[Target]:
        """Return the teacher's target for each term of the stage, detached.

        ``labels`` (B,) are only needed if a term reads them (``Stage.terms_need_labels``).
        """
        features: dict[str, Tensor] = {}
        if self.stage.needs_teacher:
            assert self.teacher is not None
            features = self.teacher.features(images, labels)
        return [term.target(features) for term in self.stage.terms]

    def features(self, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Return the student's activations that the stage reads, by tap."""
        return read_batch(self._read, images, labels, self.stage.student_computed)

    def layers(self) -> dict[str, nn.Module]:
        """Return the modules of the student that the current stage runs, and its connectors, by name."""
        read = {f"student.{name}": module for name, module in self._reader.named_modules() if name}
        return read | {f"terms.{name}": module for name, module in self.terms.named_modules() if name}

    def compile_student(self, graphs: bool = False) -> None:
        """Compile the part of the student that the current stage runs, at its next forward pass.

        Args:
            graphs: Whether to launch kernels as CUDA graphs.
        """
        self._reader.compile(options={"triton.cudagraphs": graphs})

    def compile_teacher(self, graphs: bool = False) -> None:
        """Compile the part of the teacher that the current stage runs, at its next forward pass.

        Args:
            graphs: Whether to launch kernels as CUDA graphs.
        """
        assert self.teacher is not None
        for member in self.teacher.members:
            member.compile_reader(graphs)

    def shard(self, mesh: DeviceMesh | None = None, smallest: int = 100_000) -> None:
        """Shard the weights that the current stage runs, and their gradients, over the processes (PyTorch's FSDP2).

        Call it before you create the optimizer, so that the optimizer's state is sharded too. Each process holds its
        shard of every layer, and the whole layer only while it runs. Loss and gradients are the same as with
        DistributedDataParallel. Afterwards, run the networks only through the distiller, and only for this stage;
        ``student.state_dict()`` returns DTensors. If a term takes gradients with respect to the images, all layers are
        gathered together and the teacher is not sharded.

        Args:
            mesh: The processes; by default the default process group.
            smallest: Layers with fewer parameters are gathered together, as are those that a term borrows from the
                student (its classifier, in ``cat_kd`` and ``sdd``).
        """
        if self.stage.differentiates:
            from torch.distributed.fsdp import fully_shard

            # Layer by layer, the backward pass within the forward pass would free layers that the second derivative
            # still needs.
            fully_shard(self, mesh=mesh)
            return
        borrowed = (module for part in self.terms.modules() for module in unregistered(part))
        shared = frozenset(parameter for module in borrowed for parameter in module.parameters())
        for network in (self._reader, *self.terms):
            shard_layers(network, mesh, smallest, shared)
        hand_back(self._reader, self.student)
        if self.teacher is not None and self.stage.needs_teacher:
            for member in self.teacher.members:
                member.shard(mesh, smallest)

    def _read(self, images: Tensor) -> dict[str, Tensor]:
        return read_taps(self._reader, self.normalization(images), self._places)

    def train(self, mode: bool = True) -> Distiller:
        """Set the mode of the student and the connectors; frozen modules and the teacher stay in eval mode."""
        super().train(mode)
        self._reader.train(mode)
        return self

    def _apply(self, fn: Any, recurse: bool = True) -> Distiller:
        super()._apply(fn, recurse)
        self._reader._apply(fn, recurse)
        if self.teacher is not None:
            self.teacher._apply(fn, recurse)
        return self
