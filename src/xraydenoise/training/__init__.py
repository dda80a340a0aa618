"""Training: batches cut and noised on the device, objectives, the loop, checkpoints. Needs torch, numpy and safetensors, no pipeline."""

from typing import Literal

from pydantic import Field

from xraydenoise import kinds
from xraydenoise.training.objectives import ObjectiveName

__all__ = ["ObjectiveName", "TrainConfig"]


class TrainConfig(kinds.Config):
    """How every model is trained, whatever its network."""

    batch: int = Field(ge=1)  # crops a step
    patch: int = Field(ge=8)  # px, side of a crop
    warmup: int = Field(ge=0)  # steps of linear rise to the learning rate; then a cosine falls to zero
    weight_decay: float = Field(ge=0)  # of AdamW
    ema: float = Field(ge=0, lt=1)  # decay a step of the averaged weights, which are the ones kept
    validate_every: int = Field(ge=1)  # steps
    patience: int = Field(ge=1)  # validations without a better PSNR before training stops
    precision: Literal["bf16", "fp32"]  # bf16: autocast, where the device has it
    compile: Literal["auto", "always", "never"]  # auto: only on CUDA
    checkpoint_every: float = Field(gt=0)  # seconds
    max_minutes: float | None = Field(gt=0)  # a wall-clock cap; a run that it ends is not reproducible
