"""Training: batches cut and noised on the device, objectives, the loop, checkpoints. Needs torch, numpy and safetensors, no pipeline."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from xraydenoise import kinds
from xraydenoise.models import NetworkConfig
from xraydenoise.noise import Part
from xraydenoise.training.augment import Augment
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
    augment: Augment | None  # of the crops of models on track noise, except where a classifier is asked, which learnt pictures as they are


class Plan(kinds.Config):
    """How weights are moved: ours of TrainConfig and an entry's budget, or the one that authors published."""

    optimizer: Literal["adamw", "adam", "rmsprop"]
    learning_rate: float = Field(gt=0)  # the highest
    schedule: Literal["cosine", "constant"]  # cosine: to zero at the last step
    steps: int = Field(ge=0)  # optimiser steps, the whole budget; 0: validated once, nothing learnt
    batch: int = Field(ge=1)  # crops a step
    patch: int = Field(ge=8)  # px, side of a crop
    warmup: int = Field(ge=0)  # steps of linear rise to the learning rate
    weight_decay: float = Field(ge=0)
    ema: float = Field(ge=0, lt=1)  # decay a step of the averaged weights; 0: no averaging
    max_gradient: float | None = Field(gt=0)  # norm above which a gradient is shortened
    choose: bool  # the weights that are best on val count, and patience ends the training; else the last ones do, after all steps
    augment: Augment | None  # of the crops, before noise is added
    validate_first: bool  # the weights that training begins with are validated too, so that the chosen ones are never worse on val

    def told(self) -> str:
        """For readers: what moved the weights, and how long at most."""
        decay = f", weight decay {self.weight_decay:g}" if self.weight_decay else ""
        warm = f"{self.warmup} steps of warm-up, " if self.warmup else ""
        rate = "cosine to 0" if self.schedule == "cosine" else "constant rate"
        rest = [*(["averaged weights"] if self.ema else []), *(["gradients clipped"] if self.max_gradient else [])]
        chosen = "best of val" if self.choose else "last weights"
        return ", ".join([f"{NAMES[self.optimizer]} {self.learning_rate:g}{decay}", f"{warm}{rate}", *rest, chosen])


NAMES = {"adamw": "AdamW", "adam": "Adam", "rmsprop": "RMSprop"}
MAX_GRADIENT = 1.0  # of our own plans: one bad batch in bf16 must not throw the weights away


class Recipe(kinds.Config):
    """What learns, from which track, by which objective."""

    track: Track
    objective: ObjectiveConfig
    network: NetworkConfig

    @abstractmethod
    def plan(self, train: TrainConfig) -> Plan:
        """How its weights are moved."""

    def check(self, mixture: Sequence[Part], train: TrainConfig) -> None:
        """Raise ValueError where the objective cannot take the track, the network, its noise or the crops, or the budget is all warm-up."""
        plan = self.plan(train)
        try:
            self.objective.check(self.network, [part.noise for part in mixture])
        except ValueError as error:
            raise ValueError(f"objective: {error}") from error
        if self.track == "enhanced" and not self.objective.needs_target:
            raise ValueError(f"objective: {self.objective.kind} looks at no target, but models of track enhanced learn labels; use mse")
        if self.objective.needs_classifier and plan.patch < SMALLEST:
            raise ValueError(f"objective: {self.objective.kind} asks a classifier of crops of {SMALLEST} px or more, found {plan.patch}")
        if 0 < plan.steps <= plan.warmup:
            raise ValueError(f"steps: must be more than train.warmup, {plan.warmup}, found {plan.steps}")


def ours(train: TrainConfig, steps: int, learning_rate: float, augment: Augment | None = None, validate_first: bool = False) -> Plan:
    """AdamW with a warm-up, a cosine, averaged weights chosen on val, and gradients that are clipped."""
    return Plan(
        optimizer="adamw",
        learning_rate=learning_rate,
        schedule="cosine",
        steps=steps,
        batch=train.batch,
        patch=train.patch,
        warmup=train.warmup,
        weight_decay=train.weight_decay,
        ema=train.ema,
        max_gradient=MAX_GRADIENT,
        choose=True,
        augment=augment,
        validate_first=validate_first,
    )


class OwnRecipe(Recipe):
    """A recipe with a budget of its own."""

    steps: int = Field(ge=0)  # optimiser steps, the whole budget; 0: the weights that it begins with are only validated
    learning_rate: float = Field(gt=0)  # peak, after warm-up

    def plan(self, train: TrainConfig) -> Plan:
        return ours(train, self.steps, self.learning_rate, self.augment(train))

    def augment(self, train: TrainConfig) -> Augment | None:
        """What its crops go through: nothing where the input is made of a fixed enhancement, or a classifier is to know the picture."""
        return None if self.track == "enhanced" or self.objective.needs_classifier else train.augment
