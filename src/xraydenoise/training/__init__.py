"""Training: batches cut and noised on the device, objectives, the loop, checkpoints. Needs torch, numpy and safetensors, no pipeline."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from xraydenoise import kinds
from xraydenoise.models import NetworkConfig
from xraydenoise.noise import Noise
from xraydenoise.training.objectives import ObjectiveConfig

Track = Literal["noise", "enhanced"]
SMALLEST = 16  # px, side of a crop that the classifier halves four times


class TrainConfig(kinds.Config):
    """How every model is trained, whatever its network."""

    batch: int = Field(ge=1)  # crops a step
    patch: int = Field(ge=8)  # px, side of a crop
    warmup: int = Field(ge=0)  # steps of linear rise to the learning rate; then a cosine falls to zero
    weight_decay: float = Field(ge=0)  # of AdamW
    ema: float = Field(ge=0, lt=1)  # decay a step of the averaged weights, which are the ones kept
    validate_every: int = Field(ge=1)  # steps
    val_pictures: int = Field(ge=1)  # noisy pictures that choose the best weights; whole ones
    patience: int = Field(ge=1)  # validations without a better PSNR before training stops
    precision: Literal["bf16", "fp32"]  # bf16: autocast, where the device has it
    compile: Literal["auto", "always", "never"]  # auto: only on CUDA
    checkpoint_every: float = Field(gt=0)  # seconds
    max_minutes: float | None = Field(gt=0)  # a wall-clock cap; a run that it ends is not reproducible


class Recipe(kinds.Config):
    """What learns, from which track, by which objective, for how long."""

    track: Track
    objective: ObjectiveConfig
    steps: int = Field(ge=1)  # optimiser steps, the whole budget
    learning_rate: float = Field(gt=0)  # peak, after warm-up
    network: NetworkConfig

    def check(self, mixture: Sequence[Noise], train: TrainConfig) -> None:
        """Raise ValueError where the objective cannot take the track, the network, its noise or the crops, or the budget is all warm-up."""
        try:
            self.objective.check(self.network, mixture)
        except ValueError as error:
            raise ValueError(f"objective: {error}") from error
        if self.track == "enhanced" and not self.objective.needs_target:
            raise ValueError(f"objective: {self.objective.kind} looks at no target, but track enhanced is scored against labels; use mse")
        if self.objective.needs_classifier and train.patch < SMALLEST:
            raise ValueError(f"objective: {self.objective.kind} asks a classifier of crops of {SMALLEST} px or more, found {train.patch}")
        if self.steps <= train.warmup:
            raise ValueError(f"steps: must be more than train.warmup, {train.warmup}, found {self.steps}")
