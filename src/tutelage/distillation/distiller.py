"""The module that is trained: a student and its connectors, under a teacher, for one stage at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.distillation.gradients import differentiable, image_gradient, mirrored_gradient, twice_differentiable
from tutelage.distillation.sharding import hand_back, is_sharded, shard_layers
from tutelage.distillation.stages import make_stages
from tutelage.distillation.task import task_loss
from tutelage.distillation.teacher import Teacher
from tutelage.errors import TutelageError
from tutelage.methods import METHODS, Method, parse
from tutelage.taps import laid_out, tapped
from tutelage.terms import IMAGE_GRADIENT, LOGITS, MIRRORED_GRADIENT, Stage

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

TASK = "ce"
"""The name of the cross-entropy with the labels among the terms."""


class DistillerOutput(NamedTuple):
    """What one forward pass gives."""

    loss: Tensor
    logits: Tensor | None
    """(B, K); None in a stage that stops before the student's head."""
    terms: dict[str, Tensor]
    """Weighted scalars; their sum is the loss."""


class Distiller(nn.Module):
    """A student under a teacher: ``out = distiller(images, labels)``, then ``out.loss.backward()``, in any loop.

    Its parameters are the student's and the connectors' of the current stage. The teacher is held outside the module
    tree: no optimiser, checkpoint or wrapper for several processes ever sees it; ``.to(device)`` moves it along.

    Args:
        student: the network to train.
        teacher: a :class:`Teacher`, or a plain network, which then gets the same images as the student. None for a
            method without one.
        method: a name (``kd``), names joined by ``+`` (``kd+at``), a :class:`Method` with settings of your own, or the
            list of stages. A method of several stages starts in its first: call ``enter(1)``, … when it is done.
        input_size: (H, W) of the images, for the shapes at the taps; taken from the student where it knows its own.
        normalization: applied to the images for the student; images go in unchanged where there is none.
        label_smoothing: of the cross-entropy with the labels, in [0, 1).
        class_weights: of the cross-entropy with the labels, one per class.
        epochs: length of the run, which a staged method shares out (``distiller.stages[i].epochs``).

    Raises:
        TutelageError: unknown method or tap; a term needs the teacher's logits and its classes are not the student's;
            the teacher gives NaN.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        student: nn.Module,
        teacher: Teacher | nn.Module | None,
        method: str | Method | Sequence[Stage] = "kd",
        *,
        input_size: int | tuple[int, int] | None = None,
        normalization: nn.Module | None = None,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        epochs: int = 100,
    ) -> None:
        super().__init__()
        self.student = student
        if teacher is not None and not isinstance(teacher, Teacher):
            if not isinstance(teacher, nn.Module):
                raise TutelageError(f"a {type(teacher).__name__} is no teacher: give a network (tutelage.create_model)")
            teacher = Teacher(teacher)
        # A tuple hides the teacher from nn.Module's registration of submodules.
        self._teacher = (teacher,)
        self.normalization = normalization if normalization is not None else nn.Identity()
        self.label_smoothing = label_smoothing
        weights = torch.tensor(class_weights) if class_weights is not None else None
        self.register_buffer("class_weights", weights, persistent=False)  # the settings have them, not the checkpoints
        if isinstance(method, str):
            method = make_stages(
                {name: METHODS[name]() for name in parse(method)}, student, teacher, input_size, epochs
            )
        elif isinstance(method, Method):
            method = make_stages({type(method).__name__: method}, student, teacher, input_size, epochs)
        self.stages = list(method)
        self.progress = 0.0
        """How much of the stage is done, from 0 to 1: set it where a term's weight changes over its stage."""
        self.enter(0)

    @property
    def teacher(self) -> Teacher | None:
        return self._teacher[0]

    @property
    def term_names(self) -> list[str]:
        """The names of the current stage's terms, the cross-entropy first where there is one."""
        return [TASK] * (self.stage.task_weight > 0) + [term.name for term in self.stage.terms]

    def enter(self, index: int) -> Stage:
        """Starts stage ``index``: its terms, its truncated student and teacher, its trainable parameters.

        Raises :class:`TutelageError` after :meth:`shard`, which lasts for one stage.
        """
        if is_sharded(self.student):
            raise TutelageError(
                f"stage '{self.stages[index].name}' cannot follow here, as the student's weights are spread over the "
                f"processes: gather them, and make a Distiller of that stage alone (docs/clusters.md)"
            )
        stage = self.stages[index]
        self.stage = stage
        self.progress = 0.0
        somewhere = next(self.student.parameters())
        self.terms = nn.ModuleList(stage.terms).to(somewhere.device, somewhere.dtype)
        self.student.requires_grad_(True)
        frozen_modules = stage.frozen_modules(self.student)
        reader = tapped(self.student, stage.student_taps, logits=stage.student_logits, frozen=frozen_modules)
        reached = {id(parameter) for parameter in reader.parameters()}
        for name, parameter in self.student.named_parameters():
            parameter.requires_grad_(id(parameter) in reached and not _within(name, stage.frozen))
        # Held outside the module tree too: it shares every parameter and buffer with the student, which is in it.
        self._reader = (reader,)
        if self.teacher is not None and stage.needs_teacher:
            self.teacher.read(stage.teacher_taps, stage.teacher_logits, stage.teacher_mode, stage.image_gradient)
        self.train(self.training)
        return stage

    def forward(
        self, images: Tensor, labels: Tensor | None = None, targets: Sequence[Tensor] | None = None
    ) -> DistillerOutput:
        """Returns loss, logits and weighted terms of a batch.

        ``images`` is (B, 3, H, W), in whatever range the normalisations expect; ``labels`` is (B,), −1 where
        unlabelled, or soft ones (B, K), and may be left out of a stage without cross-entropy. ``targets`` are what
        :meth:`targets` gave for these images, now or at another time; the teacher runs where there are none.
        """
        if labels is None and (self.stage.task_weight > 0 or self.stage.image_gradient):
            raise TutelageError(f"stage '{self.stage.name}' has a cross-entropy term: pass the labels too")
        if targets is None:
            targets = self.targets(images, labels)
        return self.compare(self.features(images, labels), labels, targets)

    def compare(self, features: dict[str, Tensor], labels: Tensor | None, targets: Sequence[Tensor]) -> DistillerOutput:
        """Returns loss, logits and weighted terms of what the student gave (:meth:`features`) for a batch."""
        values: dict[str, Tensor] = {}
        if self.stage.task_weight > 0:
            assert labels is not None
            values[TASK] = self.stage.task_weight * task_loss(
                features[LOGITS], labels, self.label_smoothing, self.class_weights
            )
        for term, target in zip(self.stage.terms, targets):
            values[term.name] = term.weight_at(self.progress) * term(features, target)
        loss = sum(values.values(), start=torch.zeros(()))  # a scalar joins tensors of any device
        return DistillerOutput(loss, features.get(LOGITS), values)

    def targets(self, images: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Returns what each term of the stage keeps of the teacher for these images, detached.

        ``labels`` (B,) are needed only where a term reads the gradient with respect to the image.
        """
        features: dict[str, Tensor] = {}
        if self.stage.needs_teacher:
            assert self.teacher is not None
            features = self.teacher.features(images, labels)
        return [term.target(features) for term in self.stage.terms]

    def features(self, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Returns what the stage reads of the student, under the taps' names and the reserved ones."""
        if not self.stage.image_gradient:
            return self._read(images)
        assert labels is not None
        with twice_differentiable(images.device.type):
            images = differentiable(images)
            features = self._read(images)
            features[IMAGE_GRADIENT] = image_gradient(features[LOGITS], labels, images, create_graph=True)
            if self.stage.mirrored_gradient:
                features[MIRRORED_GRADIENT] = mirrored_gradient(lambda x: self._read(x)[LOGITS], images, labels)
        return features

    def layers(self) -> dict[str, nn.Module]:
        """Returns the modules that the current stage runs of the student, and its connectors, by name."""
        read = {f"student.{name}": module for name, module in self._reader[0].named_modules() if name}
        return read | {f"terms.{name}": module for name, module in self.terms.named_modules() if name}

    def compile_student(self, graphs: bool = False) -> None:
        """Compiles what the current stage runs of the student, at its next forward pass; ``graphs``: as CUDA graphs."""
        self._reader[0].compile(options={"triton.cudagraphs": graphs})

    def compile_teacher(self, graphs: bool = False) -> None:
        """Compiles what the current stage runs of the teacher, at its next forward pass; ``graphs``: as CUDA graphs."""
        assert self.teacher is not None
        for member in self.teacher.members:
            member.compile_reader(graphs)

    def shard(self, mesh: DeviceMesh | None = None, smallest: int = 100_000) -> None:
        """Spreads the weights that the current stage runs, and their gradients, over the processes (PyTorch's FSDP2).

        Call it before the optimiser is made, whose state is then spread too. Every process holds its part of each
        layer, and all of a layer only while that runs; layers of fewer than ``smallest`` parameters are gathered
        together. Loss and gradients are those of a DistributedDataParallel. From then on the networks run through the
        distiller alone, and for this stage; ``student.state_dict()`` gives DTensors. Where a term reads gradients of
        the image, all layers are gathered together, and the teacher stays whole.

        ``mesh``: the processes, all of the default group where none is given.
        """
        if self.stage.image_gradient:
            from torch.distributed.fsdp import fully_shard

            # Its backward pass within the forward one would part what the second derivative comes back to.
            fully_shard(self, mesh=mesh)
            return
        for network in (self._reader[0], *self.terms):
            shard_layers(network, mesh, smallest)
        hand_back(self._reader[0], self.student)
        if self.teacher is not None and self.stage.needs_teacher:
            for member in self.teacher.members:
                member.shard(mesh, smallest)

    def _read(self, images: Tensor) -> dict[str, Tensor]:
        images = self.normalization(images)
        logits, features = self._reader[0](images)
        maps = laid_out(features, images.shape[2:])
        return maps if logits is None else {**maps, LOGITS: logits}

    def train(self, mode: bool = True) -> Distiller:
        super().train(mode)
        self._reader[0].train(mode)
        return self

    def _apply(self, fn: Any, recurse: bool = True) -> Distiller:
        super()._apply(fn, recurse)
        self._reader[0]._apply(fn, recurse)
        if self.teacher is not None:
            self.teacher._apply(fn, recurse)
        return self


def _within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)
