"""The published comparisons as frozen protocols: one file each, with its pictures, noise, metrics and published figures."""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from xraydenoise.models import Network
from xraydenoise.noise import Noise, NoiseConfig, evenly
from xraydenoise.training import Plan, Recipe, Track, TrainConfig, ours

Letter = Literal["a", "b", "c", "d", "e"]  # of the systems, each a file here
MEDIAN = "median_3x3"  # the official baseline of every protocol
CLASSICAL = ("noisy", MEDIAN, "total_variation")  # what every table shows beside the networks


def _all_or_some(value: Any) -> Any:
    """One message where pydantic would give one for each side of the union."""
    names = value if isinstance(value, list | tuple) else []
    if value != "all" and (not names or len(set(names)) < len(names)):
        raise ValueError("expected all, or a list of conditions, each named once")
    return value


class Learner(Recipe):
    """One network of a protocol: a recipe, whose track is the protocol's, and which rows of its table it learns for.

    It is trained by our plan for `steps` at `learning_rate`, or as its authors published (`recipe: published`).
    """

    protocol: Letter
    recipe: Literal["published"] | None = None
    steps: int | None = Field(default=None, ge=1)  # of our plan; with `recipe: published` only where the authors' number is not known
    learning_rate: float | None = Field(default=None, gt=0)  # of our plan: peak, after warm-up
    conditions: Annotated[tuple[str, ...] | Literal["all"], BeforeValidator(_all_or_some)]
    each: bool  # one network a condition, or one over all of them

    @model_validator(mode="after")
    def says_how_it_is_trained(self) -> "Learner":
        if self.recipe is None:
            if self.steps is None or self.learning_rate is None:
                raise ValueError("name steps and learning_rate, or recipe: published")
            return self
        published = self.published()
        if published is None or published.training is None:
            told = published.told if published else "nothing"
            raise ValueError(
                f"recipe: of {self.network.kind} in protocol {self.protocol} too little is known to train it as published ({told}); name "
                "steps and learning_rate instead"
            )
        training = published.training
        if self.learning_rate is not None:
            raise ValueError(f"learning_rate: published is {training.learning_rate:g}; leave it out, or leave recipe out")
        if training.objective != self.objective.kind:
            raise ValueError(f"objective: published is {training.objective}, found {self.objective.kind}; use it, or leave recipe out")
        if training.steps is None and self.steps is None:
            raise ValueError(f"steps: how many the authors took is not known ({published.told}); name them")
        if training.steps is not None and self.steps is not None:
            raise ValueError(f"steps: published are {training.steps} ({published.told}); leave steps out, or leave recipe out")
        return self

    def check_protocol(self, train: TrainConfig) -> None:
        """Raise ValueError where the track, the conditions or the objective do not fit the protocol."""
        protocol = load(self.protocol)
        if self.track != protocol.track:
            raise ValueError(f"track: protocol {self.protocol} is of track {protocol.track}, found {self.track!r}")
        if unknown := [name for name in self.names() if name not in protocol.conditions]:
            raise ValueError(
                f"conditions: protocol {self.protocol} has no {', '.join(unknown)}; expected some of {list(protocol.conditions)}"
            )
        for names in self.mixtures().values():
            mixture = [protocol.conditions[name] for name in names]
            if len({noise.clip for noise in mixture}) > 1:
                raise ValueError(f"conditions: {', '.join(names)} are clipped in part; a network must learn and be scored under one kind")
            self.check(evenly(mixture), train)

    def published(self) -> "Published | None":
        """What its protocol knows of its network."""
        return load(self.protocol).networks.get(self.network.kind)

    def plan(self, train: TrainConfig) -> Plan:
        """Ours on crops that are no larger than the protocol's pictures, or the published one on whole pictures."""
        size, published = load(self.protocol).size, self.published()
        if self.recipe is None:
            assert self.steps is not None
            assert self.learning_rate is not None
            return ours(train, self.steps, self.learning_rate).model_copy(update={"patch": min(train.patch, size or train.patch)})
        assert published is not None
        assert published.training is not None
        steps = published.training.steps or self.steps
        assert steps is not None
        return published.training.plan(steps, size or train.patch)

    def names(self) -> list[str]:
        """The conditions that it learns for."""
        return list(load(self.protocol).conditions) if self.conditions == "all" else list(self.conditions)

    def mixtures(self) -> dict[str, list[str]]:
        """The conditions that each of its networks learns for, by the network's name."""
        return {name: [name] for name in self.names()} if self.each else {"all": self.names()}


def average(values: np.ndarray) -> float:
    """The mean over pictures, which is how most metrics are published."""
    return float(values.mean())


@dataclass(frozen=True)
class Metric:
    """A number of one picture, and what a table shows of those of all pictures."""

    measure: Callable[[np.ndarray, np.ndarray], float]  # prediction and target, float (H, W) in [0, 1]
    pooled: Callable[[np.ndarray], float] = average  # numbers (pictures,), in the order of the pictures' ids
    meaning: str = ""  # for readers, where its name does not say it


@dataclass(frozen=True)
class Training:
    """How authors trained a network: a constant rate, and no warm-up, weight decay, clipping or averaging; the last weights count."""

    optimizer: Literal["adam", "rmsprop"]
    learning_rate: float
    batch: int  # pictures
    objective: str
    steps: int | None  # updates; epochs are of the authors' number of pictures, whatever is at hand here. None: that number is not known

    def plan(self, steps: int, patch: int) -> Plan:
        """The plan of so many steps on crops of `patch` px."""
        return Plan(
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            schedule="constant",
            steps=steps,
            batch=self.batch,
            patch=patch,
            warmup=0,
            weight_decay=0,
            ema=0,
            max_gradient=None,
            choose=False,
            augment=None,
            validate_first=False,
        )


@dataclass(frozen=True)
class Published:
    """A network as its authors shaped and trained it."""

    told: str  # of its training, as far as it is known
    shapes: Sequence[tuple[Mapping[str, Any], str]]  # entries of `network`, and how many parameters they have, as far as published
    training: Training | None = None  # None: too little is known to repeat it


@dataclass(frozen=True)
class Protocol:
    """What must not change for two tables to compare."""

    title: str
    published_on: str  # the pictures behind the published figures
    track: Track
    size: int | None  # px; pictures are scaled by area to squares of this side, or stay as the track has them
    conditions: Mapping[str, Noise]
    metrics: Mapping[str, Metric]
    networks: Mapping[str, Published]  # of each kind of network that this comparison brought, by kind
    published: Mapping[tuple[str, str, str], float] = field(default_factory=dict)  # of method, condition, metric
    position: Literal["before", "after", "both"] | None = None  # where the noise joins the enhancement; None on track noise
    note: str = ""


def load(letter: str) -> Protocol:
    """The protocol of that file."""
    protocol: Protocol = importlib.import_module(f"xraydenoise.protocols.{letter}").PROTOCOL
    return protocol


def code(letter: str) -> list[Path]:
    """The files that decide what the protocol of that letter is, where its noise joins among it."""
    return [Path(__file__), Path(__file__).with_name(f"{letter}.py")]


def published(kind: str) -> Published | None:
    """What is known of a kind of network, whichever protocol brought it."""
    return next((known for letter in get_args(Letter) for name, known in load(letter).networks.items() if name == kind), None)


def compared(network: Network) -> tuple[str, str]:
    """How the shape of `network` differs from the published one that is the most like it, and how many parameters that has, or "".

    "published", "small: ..." where a number is lower than published, "changed: ..." where others differ, or that no shape is known.
    """
    known = published(network.kind)
    if known is None or not known.shapes:
        return "published shape not known", ""
    found = network.model_dump()
    differing = []
    for shape, parameters in known.shapes:
        differing.append(({name: (found.get(name), value) for name, value in shape.items() if found.get(name) != value}, parameters))
    fields, parameters = min(differing, key=lambda pair: len(pair[0]))
    if not fields:
        return "published", parameters
    small = any(_size(ours) < _size(theirs) for ours, theirs in fields.values() if not isinstance(theirs, bool))
    told = "; ".join(f"{name} {_told(ours)} for {_told(theirs)}" for name, (ours, theirs) in fields.items())
    return f"{'small' if small else 'changed'}: {told}", parameters


def _size(value: Any) -> int:
    """A field of `network` as one number: a list of channels by their sum, one that is not there as 0."""
    return int(np.sum(value)) if value is not None else 0


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()


def noises(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Noise]:
    """Conditions written as params.yaml would have them."""
    return TypeAdapter(dict[str, NoiseConfig]).validate_python(entries)


def method(name: str, learner: Learner) -> str:
    """What tables call the entry `name`: without the letter of its protocol."""
    return name.removeprefix(f"{learner.protocol}_")


def check_names(learners: Mapping[str, Learner]) -> None:
    """Raise ValueError where two methods of one protocol would have one name, and so one row."""
    taken = {(letter, name) for letter in get_args(Letter) for name in CLASSICAL}
    for name, learner in learners.items():
        key = learner.protocol, method(name, learner)
        if key in taken:
            raise ValueError(f"protocols.{name}: protocol {key[0]} has another method {key[1]!r}; rename one")
        taken.add(key)


def summary(scores: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """contracts.ProtocolTable of contracts.ProtocolScores, metrics and conditions in the protocol's order."""
    groups = scores.sort_values("image", kind="stable").groupby(["metric", "condition", "method"], sort=False)["value"]
    means = groups.agg(list).reset_index()  # a row a metric, condition and method
    means["mean"] = [protocol.metrics[metric].pooled(np.array(row)) for metric, row in zip(means["metric"], means["value"], strict=True)]
    means = means.drop(columns="value")
    keys = zip(means["method"], means["condition"], means["metric"], strict=True)
    means["published"] = [protocol.published.get(key, np.nan) for key in keys]
    for column, order in (("metric", protocol.metrics), ("condition", protocol.conditions)):
        means[column] = pd.Categorical(means[column], categories=list(order))
    return means.sort_values(["metric", "condition"], kind="stable").astype({"metric": str, "condition": str}).reset_index(drop=True)


def table(means: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A `summary` as people read it: a row a method, a column a condition, the published figure in brackets behind ours."""
    rows = means[means["metric"] == metric]
    conditions, methods = (list(dict.fromkeys(rows[column])) for column in ("condition", "method"))
    texts = [_cell(mean, published) for mean, published in zip(rows["mean"], rows["published"], strict=True)]
    cells = dict(zip(zip(rows["method"], rows["condition"], strict=True), texts, strict=True))
    return pd.DataFrame([{"method": name, **{condition: cells.get((name, condition), "") for condition in conditions}} for name in methods])


def _cell(mean: float, published: float) -> str:
    return f"{mean:.4f}" if np.isnan(published) else f"{mean:.4f} ({published:.4g})"


def against(rows: Iterable[tuple[str, str, str, float]]) -> dict[tuple[str, str, str], float]:
    """Published figures, written as method, condition, metric, value."""
    return {(name, condition, metric): value for name, condition, metric, value in rows}
