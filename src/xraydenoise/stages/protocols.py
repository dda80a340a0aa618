"""protocols: the published comparisons again, each as CSV, as a Markdown table beside the published figures, and as a plot."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from xraydenoise import contracts, disk, protocols
from xraydenoise.evaluation import baselines, figures, report
from xraydenoise.params import Params
from xraydenoise.progress import progress
from xraydenoise.protocols import pages
from xraydenoise.stages import reproduce

OUT = Path("artifacts/protocols")
TOTAL_VARIATION = baselines.TotalVariation(
    kind="total_variation", calibrate=True, weights=(0.03, 0.06, 0.12, 0.24, 0.48)
)  # of every protocol


def run(params: Params) -> None:
    """Write artifacts/protocols/<letter>.{csv,md,png} for each protocol that has an entry in params, and pages.json of them all."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    images = contracts.read(Path("artifacts/ingest/manifest.parquet"), contracts.Images)
    shown = []
    for letter in sorted({learner.protocol for learner in params.protocols.values()}):
        protocol = protocols.load(letter)
        learners = {name: learner for name, learner in params.protocols.items() if learner.protocol == letter}
        conditions = list(dict.fromkeys(condition for learner in learners.values() for condition in learner.names()))
        track = reproduce.pictures(protocol, Path("work/protocols", letter))
        test, val = (reproduce.Drawn(protocol, letter, track, params.seed, split) for split in ("test", "val"))
        scores = [
            score
            for condition in progress(conditions, f"protocol {letter}", len(conditions))
            for score in classical(test, val, condition, params.machine.threads)
        ]
        scores += [contracts.read(reproduce.OUT / name / "scores.parquet", contracts.ProtocolScores) for name in learners]
        means = protocols.summary(pd.concat(scores, ignore_index=True), protocol)
        contracts.write(means, OUT / f"{letter}.csv", contracts.ProtocolTable)
        facts = {name: json.loads((reproduce.OUT / name / "config.json").read_text(encoding="utf-8")) for name in learners}
        shown.append(pages.page(protocol, means, images, test.rows, learners, facts))
        disk.write(OUT / f"{letter}.md", pages.markdown(shown[-1]))
        figures.protocol(means, protocol.title, OUT / f"{letter}.png")
        shutil.rmtree(Path("work/protocols", letter), ignore_errors=True)
        first = next(iter(protocol.metrics))
        brackets = ", in brackets as published" if means["published"].notna().any() else ""
        print(f"Protocol {protocol.title}; {first}{brackets}\n{protocols.table(means, first).to_string(index=False)}\n")
    report.save(shown, OUT / "pages.json")


def classical(test: reproduce.Drawn, val: reproduce.Drawn, condition: str, threads: int) -> list[pd.DataFrame]:
    """Scores of doing nothing, of the published 3x3 median, and of total variation as val fits it."""
    with ThreadPoolExecutor(threads) as pool:
        fitted = baselines.fit(TOTAL_VARIATION, zip(val.noisy(condition), val.targets, strict=True), pool)
    methods: dict[str, baselines.Denoiser] = {"noisy": np.copy, protocols.MEDIAN: partial(baselines.median, size=3)}
    methods["total_variation"] = fitted.denoise
    return [test.score(name, condition, denoise) for name, denoise in methods.items()]
