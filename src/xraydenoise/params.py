"""params.yaml, typed and frozen: its only reader. Every value is checked before anything runs."""

import math
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from xraydenoise import kinds, labelling, protocols, strict_yaml, weights
from xraydenoise.data import sources
from xraydenoise.data.config import IngestConfig
from xraydenoise.denoise import REGISTERED
from xraydenoise.enhancement import EnhanceConfig
from xraydenoise.evaluation.baselines import BaselineConfig
from xraydenoise.evaluation.baselines.base import Rising, rise
from xraydenoise.evaluation.detectability import Disc
from xraydenoise.evaluation.gate import GateConfig
from xraydenoise.evaluation.ranking import CompareConfig
from xraydenoise.noise import NoiseConfig, Part
from xraydenoise.protocols import Learner
from xraydenoise.registry import RegisterConfig
from xraydenoise.training import OwnRecipe, Plan, Track, TrainConfig, ours
from xraydenoise.training.classifier import ClassifierConfig

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]  # becomes a folder and a stage name


class MachineConfig(kinds.Config):
    """What the stages run on; a part of the result, since other thread counts round differently."""

    device: Literal["auto", "cpu", "cuda"]  # auto: CUDA if there is one, else CPU
    threads: int = Field(ge=1)  # CPU threads of a stage


class LabelConfig(labelling.LabelConfig):
    """How labels are made, and audited."""

    noise: NoiseConfig  # of the inputs that labels are audited against; scores and trainings have noises of their own


STARTS = "starts"  # the folder of the project that holds weights from elsewhere; DVC watches it


def _start(value: str) -> str:
    if value in weights.PACKAGED or re.fullmatch(rf"{REGISTERED}/[^/@]+[/@][^/@]+", value):
        return value
    if value.startswith(f"{STARTS}/") and ".." not in Path(value).parts:
        return value
    raise ValueError(
        f"expected {', '.join(weights.PACKAGED)}, {REGISTERED}/NAME@ALIAS, {REGISTERED}/NAME/VERSION, null, or {STARTS}/FOLDER with "
        "config.json and weights.safetensors (copy a folder from elsewhere there, where DVC watches it)"
    )


class ModelConfig(OwnRecipe):
    """One model: a recipe, its noise, and the weights that it begins from."""

    mixture: Name  # its training noise, a name in `mixtures`
    start: Annotated[str, AfterValidator(_start)] | None = None  # null: it begins anew; with steps: 0 it is scored as it is

    def plan(self, train: TrainConfig) -> Plan:
        return ours(train, self.steps, self.learning_rate, self.augment(train), validate_first=self.start is not None)

    @model_validator(mode="after")
    def what_does_not_learn_begins_from_weights(self) -> "ModelConfig":
        if self.steps == 0 and self.start is None:
            raise ValueError("steps: 0 steps from no weights would score a network that has learnt nothing; name a start, or train")
        if self.start in weights.PACKAGED and self.network != (packaged := weights.PACKAGED[self.start].network):
            raise ValueError(f"start: {self.start} is a network {packaged.model_dump(mode='json')}; give `network` these values")
        return self


class RepeatsConfig(kinds.Config):
    """Repeated draws of noise on track noise, with and without a faint disc."""

    pictures: int = Field(ge=1)  # test images per condition
    draws: int = Field(ge=5)  # of the noise of each, and as many with the disc; the observer has five channels
    side: int = Field(ge=32)  # px, of the regions that are denoised
    disc: Disc

    @model_validator(mode="after")
    def the_disc_fits(self) -> "RepeatsConfig":
        if self.side < (needed := 2 * math.ceil(2 * self.disc.radius) + 1):
            raise ValueError(f"side: {self.side} px hold no disc of radius {self.disc.radius:g}; at least {needed} are needed")
        return self


class SweepConfig(kinds.Config):
    """The levels of noise that the curves show, on track noise."""

    pictures: int = Field(ge=1)  # test images, and val images that tune a baseline at each level
    # sigma, fractions of full scale; a level named twice would be scored twice
    gaussian: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1), AfterValidator(rise)]
    quantum: Rising  # photons at full scale
    full_dose: float = Field(gt=0)  # photons at full scale that count as 100 % dose


class EvaluateConfig(kinds.Config):
    pictures: int = Field(ge=0)  # test images per condition whose denoised pictures are kept for the figures
    tune_images: int = Field(ge=1)  # at most this many val images per condition tune a baseline
    repeats: RepeatsConfig
    sweep: SweepConfig


class PipelineConfig(kinds.Config):
    """How the Prefect flow runs the stages; nothing here changes a result."""

    retries: int = Field(ge=0)  # of a download, with back-off
    retry_delay: float = Field(ge=0)  # seconds before the first retry, doubled each time
    time_limit: float = Field(gt=0)  # minutes a stage may take before it is killed
    sync_every: float = Field(gt=0)  # seconds between two mirrors of running trainings into MLflow


class Params(kinds.Config):
    """The whole of params.yaml."""

    seed: int = Field(ge=0, lt=2**32)
    machine: MachineConfig
    datasets: dict[Name, sources.SourceConfig] = Field(min_length=1)
    ingest: IngestConfig
    enhance: EnhanceConfig
    label: LabelConfig
    conditions: dict[Track, dict[Name, NoiseConfig]]
    mixtures: dict[Name, tuple[Part, ...]]
    classifier: ClassifierConfig
    train: TrainConfig
    models: dict[Name, ModelConfig] = Field(min_length=1)
    protocols: dict[Name, Learner] = Field(min_length=1)
    baselines: dict[Name, BaselineConfig]
    evaluate: EvaluateConfig
    compare: CompareConfig
    gate: GateConfig
    registry: RegisterConfig
    pipeline: PipelineConfig

    @model_validator(mode="after")
    def entries_agree(self) -> "Params":
        """Names that refer to other entries exist, and no two methods share a name."""
        if set(self.conditions) != {"noise", "enhanced"}:
            raise ValueError(f"conditions: found tracks {sorted(self.conditions)}; expected enhanced and noise")
        if missing := {"noisy", "median"} - set(self.baselines):
            raise ValueError(f"baselines: {' and '.join(sorted(missing))} must be there; every gain is measured against them")
        if self.baselines["median"].kind != "median":
            raise ValueError(
                f"baselines.median.kind: every gain is measured against the median filter, found {self.baselines['median'].kind!r}"
            )
        if any("all" in conditions for conditions in self.conditions.values()):
            raise ValueError("conditions: 'all' stands for the mean over conditions; give the condition another name")
        if len({noise.clip for noise in self.conditions["noise"].values()}) != 1:
            raise ValueError("conditions.noise: name at least one, all with the same `clip`; the sweep of levels is clipped as they are")
        for name, mixture in self.mixtures.items():
            if not mixture:
                raise ValueError(f"mixtures.{name}: has no noise; name at least one")
        for name, model in self.models.items():
            if model.mixture not in self.mixtures:
                raise ValueError(f"models.{name}.mixture: {model.mixture!r} is not in mixtures; found {sorted(self.mixtures)}")
            if not (test := {noise.clip for noise in self.conditions[model.track].values()}) <= (
                learnt := {part.noise.clip for part in self.mixtures[model.mixture]}
            ):
                raise ValueError(
                    f"models.{name}.mixture: {model.mixture!r} has clip {sorted(learnt)}, but the conditions of track {model.track} have "
                    f"{sorted(test)}; training and test must agree on clipping, which moves PSNR by more than any network does"
                )
            try:
                model.check(self.mixtures[model.mixture], self.train)
            except ValueError as error:
                raise ValueError(f"models.{name}.{error}") from error
        for name, learner in self.protocols.items():
            try:
                learner.check_protocol(self.train)
            except ValueError as error:
                raise ValueError(f"protocols.{name}.{error}") from error
        for entry, side in (("train.patch", self.train.patch), ("evaluate.repeats.side", self.evaluate.repeats.side)):
            if side > self.ingest.size:
                raise ValueError(f"{entry}: {side} px are more than ingest.size, {self.ingest.size}, the longest side that a picture has")
        for name, recipe in [*self.models.items(), *self.protocols.items()]:
            if recipe.track == "enhanced" and self.train.patch > self.enhance.region:
                raise ValueError(
                    f"train.patch: {self.train.patch} px are more than enhance.region, {self.enhance.region}, that {name} learns from"
                )
        protocols.check_names(self.protocols)
        for track in self.gate.tracks:
            if not any(model.track == track for model in self.models.values()):
                way_out = "add one" if track == "noise" else "add one, or take the track out of gate.tracks"
                raise ValueError(f"models: none is of track {track}, whose best model is to become champion (gate.tracks); {way_out}")
        if clash := set(self.models) & set(self.baselines):
            raise ValueError(f"models and baselines: {sorted(clash)} name both a model and a baseline; rename one")
        if "champion" in {*self.models, *self.baselines}:
            raise ValueError("models and baselines: 'champion' stands for the registered model in scores; give the entry another name")
        return self


def load(path: Path = Path("params.yaml")) -> Params:
    """The checked parameters. Raises ValueError with one line an error: the entry, the value found, what is allowed."""
    if not path.exists():
        raise ValueError(f"{path}: not there; run from the project's root, or write one with `python -m xraydenoise profile sample`")
    try:
        return Params.model_validate(strict_yaml.read(path))
    except ValidationError as error:
        raise ValueError("\n".join(f"{path}: {kinds.line(fault)}" for fault in error.errors())) from error
