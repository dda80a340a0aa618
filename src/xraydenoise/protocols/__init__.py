"""The published comparisons as frozen protocols: one file each, with its pictures, noise, metrics and published figures."""

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, TypeAdapter

from xraydenoise.noise import Noise, NoiseConfig
from xraydenoise.training import Recipe, Track, TrainConfig

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
    """One network of a protocol: a recipe, whose track is the protocol's, and which rows of its table it learns for."""

    protocol: Letter
    conditions: Annotated[tuple[str, ...] | Literal["all"], BeforeValidator(_all_or_some)]
    each: bool  # one network a condition, or one over all of them

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
            self.check(mixture, self.cropped(train))

    def cropped(self, train: TrainConfig) -> TrainConfig:
        """How its networks are trained: crops are no larger than the protocol's pictures."""
        size = load(self.protocol).size
        return train.model_copy(update={"patch": min(train.patch, size)}) if size else train

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
class Protocol:
    """What must not change for two tables to compare."""

    title: str
    published_on: str  # the pictures behind the published figures
    track: Track
    size: int | None  # px; pictures are scaled by area to squares of this side, or stay as the track has them
    conditions: Mapping[str, Noise]
    metrics: Mapping[str, Metric]
    published: Mapping[tuple[str, str, str], float] = field(default_factory=dict)  # of method, condition, metric
    position: Literal["before", "after", "both"] | None = None  # where the noise joins the enhancement; None on track noise
    note: str = ""


def load(letter: str) -> Protocol:
    """The protocol of that file."""
    protocol: Protocol = importlib.import_module(f"xraydenoise.protocols.{letter}").PROTOCOL
    return protocol


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
    means = groups.agg(list).reset_index()
    means["mean"] = [protocol.metrics[metric].pooled(np.array(row)) for metric, row in zip(means["metric"], means["value"], strict=True)]
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
