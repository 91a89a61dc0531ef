"""The settings of ``train`` and ``distill``, with the same keys on the command line and in Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from tutelage.config.sections import method_sections
from tutelage.data import DataSettings, Side
from tutelage.distillation import CacheSettings
from tutelage.methods import METHODS, Method, parse
from tutelage.models import register_functions
from tutelage.paths import expand
from tutelage.terms import OptimizerSettings, ScheduleSettings

Channels = tuple[float, float, float]


class Settings(BaseModel):
    """Base class of settings: instances are frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelSettings(Settings):
    """A network by name (``resnet20``, ``timm/…``, ``package.module:function``) or path, and its weights."""

    name: str
    weights: str | None = Field(None, description="'pretrained', a torchvision enum member, or a file; null: random")
    weights_key: str | None = Field(None, description="key of the state dict in a weights file that has several")
    input_size: Side | tuple[Side, Side] | Literal["own"] | None = Field(
        None,
        description="side, or [height,width], to which images are resized; own: the input size of the model; null: no "
        "resizing",
    )
    mean: Channels | None = Field(
        None, description="mean of the input, [red,green,blue] in [0, 1]; null: that of the model, else of the data"
    )
    std: Channels | None = Field(None, description="standard deviation of the input, like mean")

    @model_validator(mode="after")
    def _mean_and_std(self) -> ModelSettings:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together; set both or neither")
        return self


class TeacherSettings(Settings):
    """A teacher: a run folder, a model folder, or the name of a library's model, with pretrained weights.

    A list of names stands for several teachers, for methods that read only logits: ``teacher=[runs/a, runs/b]``.
    """

    name: str | Annotated[tuple[str, ...], Field(min_length=1)]
    weights: str | None = Field(
        None, description="'pretrained', a torchvision enum member, or a file; null: those of the model"
    )
    weights_key: str | None = Field(None, description="key of the state dict in a weights file that has several")
    input_size: Side | tuple[Side, Side] | None = Field(
        None, description="side, or [height,width], to which images are resized for the teacher; null: no resizing"
    )
    mean: Channels | None = Field(
        None, description="mean of the input, [red,green,blue] in [0, 1]; null: that of the model, else of the data"
    )
    std: Channels | None = Field(None, description="standard deviation of the input, like mean")
    classes: str | None = Field(
        None,
        description="classes of the logits, matched by name to the data's: 'own', 'imagenet-1k', or a file of "
        "names in order",
    )
    finetune: Literal["head", "full"] | None = Field(
        None, description="part of the teacher to train on the data first: head (a new classifier) or full (all layers)"
    )
    epochs: int = Field(10, ge=1, description="epochs of fine-tuning")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="optimizer of fine-tuning")
    lr: float | None = Field(
        None,
        gt=0,
        description="learning rate of fine-tuning; default: adamw 1e-3 (head) and 1e-4 (full), sgd 0.1 and 0.01",
    )
    weight_decay: float = Field(0.01, ge=0, description="weight decay of fine-tuning")

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,) if isinstance(self.name, str) else self.name

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> TeacherSettings:
        if self.finetune is not None and len(self.names) > 1:
            raise ValueError("teacher.finetune takes one teacher; train several beforehand with tutelage train")
        if self.finetune is not None and self.classes is not None:
            raise ValueError(
                "a teacher is either fine-tuned on the classes of the data or mapped to them; remove teacher.finetune "
                "or teacher.classes"
            )
        for name in ("epochs", "optimizer", "lr", "weight_decay"):
            # Defaults are allowed, because config.yaml in a run folder contains every setting.
            if self.finetune is None and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"teacher.{name} only applies to fine-tuning; set teacher.finetune=head or full")
        if (self.mean is None) != (self.std is None):
            raise ValueError("teacher.mean and teacher.std belong together; set both or neither")
        return self


class RunSettings(Settings):
    """The settings of every run."""

    data: DataSettings
    out: Path | None = Field(None, description="folder of the run; default: runs/STUDENT-METHOD-DATA-SEED")
    overwrite: bool = Field(False, description="replace an existing run folder")
    seed: int = Field(
        0, ge=0, lt=2**63, description="seed of weights, sample order and dropout; for augmentation see data.view_seed"
    )
    epochs: int = Field(30, ge=1, description="epochs of all stages together")
    batch_size: int = Field(128, ge=1, description="global batch size: the sum over processes")
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="label smoothing of the cross-entropy")
    class_weights: Literal["balanced"] | tuple[Annotated[float, Field(ge=0)], ...] | None = Field(
        None,
        description="weights of the cross-entropy, one per class in order; balanced: inversely proportional to the "
        "number of training images; null: none",
    )
    clip: Annotated[float, Field(gt=0)] | Literal["auto"] | None = Field(
        "auto", description="maximum gradient norm; auto: chosen with the optimizer; null: no clipping"
    )
    bn_momentum: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] | None = Field(
        "auto",
        description="minimum momentum of batch normalization; auto: raised for short trainings from scratch, so that "
        "the running statistics keep up; null: that of the network",
    )
    accumulate: int = Field(
        1, ge=1, description="gradient accumulation: parts a batch is split into; a step is still one batch"
    )
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="decay of a moving average of the weights, which is saved instead of them; null: none",
    )
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = Field(
        "auto", description="auto: the faster of fp32 and bf16, measured in a few steps; tf32 and fp16 need a GPU"
    )
    compile: Literal["auto", "off", "teacher", "student", "both", "graphs"] = Field(
        "auto",
        description="networks to compile; auto: what is faster in a short trial, off in short runs; graphs: both, with "
        "CUDA graphs",
    )
    device: Literal["auto", "cpu"] = Field("auto", description="auto: the accelerator, if available")
    validate_every: int = Field(1, ge=1, description="epochs between validations; the last epoch is always validated")
    log_every: int = Field(50, ge=1, description="steps between log entries")
    log_gradients: bool = Field(
        False,
        description="log the gradient of each term every log_every steps, at the cost of a backward pass per term; "
        "not available if the backward pass is compiled",
    )
    checkpoint_minutes: float = Field(
        10.0, ge=0, description="maximum minutes between checkpoints; one is always written after each epoch"
    )
    network: str | tuple[str, ...] = Field(
        (), description="your own networks, as package.module:function; several in brackets"
    )
    loggers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = Field(
        ("tensorboard",), description="loggers of metrics and settings, besides metrics.jsonl; []: none"
    )

    @field_validator("accumulate")
    @classmethod
    def _every_part_has_images(cls, accumulate: int, before: ValidationInfo) -> int:
        batch_size = before.data.get("batch_size", accumulate)
        if accumulate > batch_size:
            raise ValueError(
                f"a batch of {batch_size} cannot be split into that many parts; raise batch_size or lower accumulate"
            )
        return accumulate

    @field_validator("class_weights")
    @classmethod
    def _balanced_once(cls, weights: Any, before: ValidationInfo) -> Any:
        if weights == "balanced" and getattr(before.data.get("data"), "sampling", None) == "balanced":
            raise ValueError("data.sampling=balanced already balances the classes; set only one of the two")
        return weights

    @field_validator("out")
    @classmethod
    def _expand(cls, out: Path | None) -> Path | None:
        return expand(out) if out is not None else None


class TrainSettings(RunSettings):
    """Settings of ``tutelage train``, which trains one network on labels."""

    model: ModelSettings = Field(description="the model to train, by name or path")
    trainable: Literal["all", "head"] = Field(
        "all", description="head: only the classifier; the rest is frozen and in eval mode"
    )


class DistillSettings(RunSettings):
    """Settings of ``tutelage distill``, which trains a student with a teacher.

    The extra fields are the settings of the registered methods, by name: ``settings.kd.temperature``.
    """

    model_config = ConfigDict(extra="allow")

    student: ModelSettings = Field(description="the model to train, by name or path")
    teacher: TeacherSettings | None = None
    cache: CacheSettings = CacheSettings()
    method: str = Field("kd", description="a method, or several joined by +; each has its own settings section")

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        return "+".join(parse(method))

    @model_validator(mode="wrap")
    @classmethod
    def _validate_methods(cls, given: Any, validate: ModelWrapValidatorHandler[DistillSettings]) -> DistillSettings:
        """Validate each extra field with the method of that name, and reject all others."""
        if not isinstance(given, Mapping):
            return validate(given)
        own = {key: value for key, value in given.items() if key in cls.model_fields}
        extra = {key: value for key, value in given.items() if key not in own}
        errors: list[InitErrorDetails] = []
        for name, method in method_sections(cls).items():
            try:
                own[name] = method.model_validate(extra.pop(name, {}))
            except ValidationError as error:
                errors += _details(error, name)
        errors += [InitErrorDetails(type="extra_forbidden", loc=(key,), input=extra[key]) for key in extra]
        try:
            settings = validate(own)
        except ValidationError as error:
            errors = _details(error) + errors
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return settings

    def methods(self) -> dict[str, Method]:
        """Return the methods that ``method`` names, by name, with their settings."""
        sections = self.__pydantic_extra__ or {}
        return {name: sections.get(name) or METHODS[name]() for name in parse(self.method)}


def _details(error: ValidationError, *section: str) -> list[InitErrorDetails]:
    """Return the details of an error, located in ``section``."""
    return [
        InitErrorDetails(
            type=PydanticCustomError(line["type"], line["msg"], line.get("ctx")),
            loc=(*section, *line["loc"]),
            input=line["input"],
        )
        for line in error.errors(include_url=False)
    ]


def register_networks(settings: RunSettings) -> None:
    """Import and register the user's own networks that the settings name."""
    names = list((settings.network,) if isinstance(settings.network, str) else settings.network)
    for role in ("model", "student", "teacher"):
        network = getattr(settings, role, None)
        if network is not None:
            names += network.names if isinstance(network, TeacherSettings) else (network.name,)
    register_functions(*names)
