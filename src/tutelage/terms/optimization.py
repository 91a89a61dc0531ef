"""Settings of an optimiser and of a learning rate's schedule, for a whole run or for one stage of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimizerSettings(BaseModel):
    """``optimizer.*``: which optimiser, and its constants.

    Weight decay acts on every parameter, as in the published recipes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(0.1, gt=0, description="peak learning rate, for the whole (global) batch")
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd only")
    nesterov: bool = Field(True, description="sgd only")
    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="adamw only")
    weight_decay: float = Field(5e-4, ge=0)


class PretrainOptimizer(OptimizerSettings):
    """The optimiser of a stage that only matches features: AdamW, whose step does not depend on the loss's scale."""

    name: Literal["sgd", "adamw"] = "adamw"
    lr: float = Field(1e-3, gt=0, description="peak learning rate, for the whole (global) batch")
    weight_decay: float = Field(0.0, ge=0)


class ScheduleSettings(BaseModel):
    """``schedule.*``: the learning rate's factor as a pure function of the step; lengths are in epochs."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Literal["cosine", "one_cycle", "step", "constant"] = "cosine"
    warmup: float = Field(0.0, ge=0, description="epochs of linear rise from zero, before everything else")
    milestones: tuple[float, ...] = Field((), description="step only: epochs at which the rate is multiplied by gamma")
    gamma: float = Field(0.1, gt=0, description="step only")
    restart: bool = Field(False, description="step only: the optimiser's momentum starts anew at each milestone")
    rise: float = Field(0.25, gt=0, lt=1, description="one_cycle only: share of the stage spent rising to the peak")
