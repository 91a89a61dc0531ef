"""Settings of the optimizer and the learning-rate schedule, for a whole run or for one stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimizerSettings(BaseModel):
    """``optimizer.*``: the optimizer and its hyperparameters; unset values are chosen for the network.

    Example:
        >>> OptimizerSettings(name="sgd", momentum=0.8).lr is None
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Literal["auto", "sgd", "adamw"] = Field(
        "auto", description="optimizer; auto: chosen for the network, with lr and weight_decay"
    )
    lr: float | None = Field(
        None, gt=0, description="peak learning rate, for the whole (global) batch; null: scaled to the batch"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum; sgd only")
    nesterov: bool = Field(True, description="Nesterov momentum; sgd only")
    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="decay rates of the moment estimates; adamw only")
    weight_decay: float | None = Field(None, ge=0, description="weight decay; null: chosen with the optimizer")
    decay_norms: bool = Field(
        False, description="apply weight decay to biases and normalization weights too, like many published recipes"
    )


class Optimizer(OptimizerSettings):
    """Optimizer settings with a default for every value, for example for a ``Stage``.

    Example:
        >>> Optimizer(lr=0.05).weight_decay
        0.0005
    """

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(0.1, gt=0, description="peak learning rate, for the whole (global) batch")
    weight_decay: float = Field(5e-4, ge=0)


class PretrainOptimizer(Optimizer):
    """Optimizer of a stage that only matches features: AdamW, whose step size does not depend on the loss's scale.

    Example:
        >>> PretrainOptimizer().name, PretrainOptimizer().lr
        ('adamw', 0.001)
    """

    name: Literal["sgd", "adamw"] = "adamw"
    lr: float = Field(1e-3, gt=0, description="peak learning rate, for the whole (global) batch")
    weight_decay: float = Field(0.0, ge=0)


class ScheduleSettings(BaseModel):
    """``schedule.*``: the learning-rate factor as a function of the step; lengths are in epochs.

    Example:
        >>> ScheduleSettings(name="step", milestones=(100, 150), gamma=0.1).milestones
        (100.0, 150.0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Literal["auto", "cosine", "one_cycle", "step", "constant"] = Field(
        "auto", description="learning-rate schedule; auto: cosine after a warm-up"
    )
    warmup: float | None = Field(
        None,
        ge=0,
        description="epochs of linear warm-up from zero; null: with auto a tenth of the training, at most 5 epochs, "
        "otherwise none",
    )
    milestones: tuple[float, ...] = Field((), description="epochs at which the rate is multiplied by gamma; step only")
    gamma: float = Field(0.1, gt=0, description="factor of the rate at each milestone; step only")
    restart: bool = Field(False, description="reset the optimizer's momentum at each milestone; step only")
    rise: float = Field(0.25, gt=0, lt=1, description="fraction of the stage until the peak; one_cycle only")


class Schedule(ScheduleSettings):
    """Schedule settings with a default for every value, for example for a ``Stage``.

    Example:
        >>> Schedule(warmup=5).name
        'cosine'
    """

    name: Literal["cosine", "one_cycle", "step", "constant"] = "cosine"
    warmup: float = Field(0.0, ge=0, description="epochs of linear warm-up from zero")
