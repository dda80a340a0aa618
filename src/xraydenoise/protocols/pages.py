"""A protocol as people read it: what was trained and how it differs from what was published, and the table of every metric."""

from collections.abc import Mapping
from itertools import compress
from typing import Any

import pandas as pd

from xraydenoise import contracts, protocols, tables
from xraydenoise.evaluation.ranking import count
from xraydenoise.evaluation.report import Chapter, Section
from xraydenoise.protocols import Learner, Protocol
from xraydenoise.training import Plan

TRAINED = (
    "Where a shape differs from the published one, its numbers stand with both values, ours first. Noise is drawn anew for each step, and "
    "crops are turned and mirrored, whatever the authors did."
)


def page(
    protocol: Protocol,
    means: pd.DataFrame,
    images: pd.DataFrame,
    rows: pd.DataFrame,
    learners: Mapping[str, Learner],
    told: Mapping[str, Any],
) -> Chapter:
    """The page of contracts.ProtocolTable `means`, scored on the test pictures `rows` of the project's pictures `images`.

    `learners` are the protocol's entries, and `told` is what `reproduce` wrote of each: its network, its plan, what came of it.
    """
    trained = pd.DataFrame([networks(protocols.method(name, learner), learner, told[name]) for name, learner in learners.items()])
    small = sum(shape.startswith("small") for shape in trained["shape"])
    pictures = contracts.pictures(rows["image"]).unique()
    sources = ", ".join(
        f"{number} of {tables.text(source)}" for source, number in images.set_index("image").loc[pictures].groupby("source").size().items()
    )
    size = f"{protocol.size}x{protocol.size} px" if protocol.size else "regions as the track has them"
    alone = [protocols.method(name, learners[name]) for name, facts in told.items() if facts["alone"]]
    lines = [
        f"Small networks: {small} of {len(trained)} here are smaller than published, so their figures are no reproduction.",
        f"Tested on {count(len(rows), len(pictures), rows['patient'].nunique())} ({sources}; {size}). "
        f"Published on: {protocol.published_on}.",
        "Figures in brackets are the published ones; they are of other pictures.",
        protocol.note,
        f"Trained without a classifier, as the training pictures have no two labels: {', '.join(alone)}.",
    ]
    needed = [small > 0, True, bool(means["published"].notna().any()), bool(protocol.note), bool(alone)]
    metrics = [Section(name, metric.meaning, protocols.table(means, name)) for name, metric in protocol.metrics.items()]
    return Chapter(f"Protocol {protocol.title}", list(compress(lines, needed)), [Section("What was trained", TRAINED, trained), *metrics])


def networks(method: str, learner: Learner, told: Mapping[str, Any]) -> dict[str, str]:
    """A row of the table of what was trained: shape, size, training as run and as published."""
    outcomes = list(told["networks"].values())
    steps = sorted({outcome["steps_run"] for outcome in outcomes})
    plan, known = Plan.model_validate(told["plan"]), protocols.published(learner.network.kind)
    shape, parameters = protocols.compared(learner.network)
    return {
        "method": method,
        "shape": shape,
        "networks": str(len(outcomes)),
        "parameters of one": f"{outcomes[0]['parameters']:,}",
        "published": parameters,
        "learnt from": count(told["images"], told["pictures"], told["patients"]),
        "objective": learner.objective.kind,
        "steps": f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}",
        "batch": f"{plan.batch} of {plan.patch}x{plan.patch} px",
        "trained by": plan.told() if learner.recipe is None else "as published, steps ours" if learner.steps else "as published",
        "trained by, published": known.told if known else "not known here",
    }


def markdown(page: Chapter) -> str:
    """The page as Markdown."""
    parts = [f"# {page.title}", *page.lines]
    for section in page.sections:
        parts += [f"## {section.title}", *([section.text] if section.text else []), tables.markdown(section.table)]
    return "\n\n".join(parts) + "\n"
