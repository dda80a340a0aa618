"""What compare tells beyond the ranking: significance, curves, faint discs, spectra, cost, and the page that shows it all."""

import json
from pathlib import Path

import pandas as pd

from xraydenoise import contracts
from xraydenoise.data import store
from xraydenoise.evaluation import curves as sweeps
from xraydenoise.evaluation import figures, page, ranking, report, significance
from xraydenoise.evaluation.ranking import ALL, REFERENCE
from xraydenoise.evaluation.report import Section
from xraydenoise.evaluation.statistics import FEW
from xraydenoise.labelling import worst
from xraydenoise.labelling.audit import Audit
from xraydenoise.models import cost
from xraydenoise.params import Params
from xraydenoise.stages import cases, examination

SCORED = Path("artifacts/evaluate")
OUT = Path("artifacts/compare")
INGEST = Path("artifacts/ingest")
LABELS = Path("artifacts/label")
PROTOCOLS = Path("artifacts/protocols/pages.json")
TITLES = {"gaussian": "Gaussian noise", "quantum": "Quantum noise"}


def sections(scores: pd.DataFrame, paired: pd.DataFrame, params: Params) -> list[Section]:
    """Write the tables to artifacts/compare as CSV, and give those that the report shows; `paired` is of significance.pairs."""
    differences = significance.differences(scores, REFERENCE, params.compare, params.seed)
    groups = significance.groups(paired, params.compare.confidence)
    discs = examination.summary(on_noise(params), params)
    contracts.write(differences, OUT / "differences.csv", contracts.Differences)
    contracts.write(groups, OUT / "groups.csv", contracts.Groups)
    contracts.write(discs, OUT / "detectability.csv", contracts.Detectability)
    methods = [*params.models, *params.baselines]
    spectra = pd.concat([contracts.read(SCORED / method / "spectra.parquet", contracts.Spectra) for method in methods], ignore_index=True)
    contracts.write(spectra, OUT / "spectra.csv", contracts.Spectra)
    costs = pd.DataFrame(
        [
            {"method": name, "parameters": cost.parameters(model.network), "mflop": round(cost.mflop(model.network), 3)}
            for name, model in params.models.items()
        ]
    )
    contracts.write(costs, OUT / "cost.csv", contracts.Cost)
    return [
        Section(
            "What can be told apart",
            "Over all conditions of test, by PSNR: methods that share a letter cannot be told apart (sign-flip permutation test by "
            f"patient, Holm's correction over the pairs of a track, {params.compare.confidence:.0%}; letters after Piepho 2004). `p` is of "
            "the difference to the median filter, Holm's over methods.",
            _apart(groups, differences),
        ),
        Section(
            "Faint discs, bias and residual noise",
            f"Track noise, repeated draws of {params.evaluate.repeats.draws} with and without a disc of radius "
            f"{params.evaluate.repeats.disc.radius:g} px and contrast {params.evaluate.repeats.disc.contrast:g}. d' is the channelised "
            "Hotelling observer's: what no smoothing can raise. Contrast-to-noise rises with smoothing alone and means little without it. "
            "Both are of the pictures `placed`, which have a smooth place for the disc; the interval of d' is a t interval by patient, "
            f"by picture under {FEW} patients (jackknife, {params.compare.confidence:.0%}). Bias squared stays however many predictions "
            "are averaged, variance is the noise that is left (both in squared fractions of full scale, means over all pictures).",
            _discs(discs),
        ),
        Section("Cost", "Of the networks; one multiplication and one addition count as two operations.", _costs(costs)),
    ]


def on_noise(params: Params) -> list[str]:
    """The methods that are examined: models of track noise, and every baseline."""
    return [*(name for name, model in params.models.items() if model.track == "noise"), *params.baselines]


def curves(params: Params) -> list[str]:
    """Write curves.csv, a CSV and a figure a family of noise; the figures' names."""
    swept = pd.concat(
        [contracts.read(SCORED / method / "sweep.parquet", contracts.Sweep) for method in on_noise(params)], ignore_index=True
    )
    table = sweeps.curves(swept, params.evaluate.sweep.full_dose, params.compare, params.seed)
    contracts.write(table, OUT / "curves.csv", contracts.Curves)
    names = []
    for family, rows in table.groupby("family"):
        names.append(f"curves-{family}.png")
        title = f"{TITLES[str(family)]}: {ranking.count(*rows[['images', 'images', 'patients']].iloc[0])}"
        figures.curves(rows, sweeps.LEVELS[str(family)], title, OUT / names[-1])
    return names


def _apart(groups: pd.DataFrame, differences: pd.DataFrame) -> pd.DataFrame:
    p = differences[differences["metric"] == "psnr"].set_index(["track", "condition", "method"])["p_holm"]
    rows = groups[groups["condition"] == ALL]
    keys = zip(rows["track"], rows["condition"], rows["method"], strict=True)
    told = ["reference" if key[2] == REFERENCE else f"{p[key]:.4f}" for key in keys]
    return rows[["track", "method", "letters"]].assign(p=told)


def _discs(discs: pd.DataFrame) -> pd.DataFrame:
    bounds = (discs["dprime_low"].map(" [{:.2f}, ".format) + discs["dprime_high"].map("{:.2f}]".format)).where(
        discs["dprime_low"].notna(), ""
    )
    shown = discs[["condition", "method", "images", "placed"]].astype(str).assign(**{"d'": discs["dprime"].map("{:.2f}".format) + bounds})
    for column, text in (("cnr", "{:.2f}"), ("bias2", "{:.2e}"), ("variance", "{:.2e}")):
        shown[column] = discs[column].map(text.format)
    shown.loc[discs["placed"] == 0, ["d'", "cnr"]] = "no place"
    return shown


def _costs(costs: pd.DataFrame) -> pd.DataFrame:
    return costs.astype(str).rename(columns={"mflop": "MFLOP a pixel"})


def content(ranked: pd.DataFrame, scores: pd.DataFrame, tested: str, best: dict[str, str], params: Params) -> page.Content:
    """What report.html shows, of the tables that `sections` and `curves` wrote and of what the earlier stages left."""
    groups = contracts.read(OUT / "groups.csv", contracts.Groups).rename(columns={"letters": "group"}).assign(split="test")
    sizes = ranked.drop_duplicates(["track", "split"])[["track", "split", "images", "pictures", "patients"]]
    warnings = [f"Track {track}: {text}" for track, rows in sizes.groupby("track") for text in report.warnings(rows.drop(columns="track"))]
    for track, rows in ranking.on_test(ranked).groupby("track", sort=False):
        warnings += [f"Track {track}: {text}." for text in ranking.seen_before(rows)]
    return page.Content(
        seed=params.seed,
        test_set=tested,
        confidence=params.compare.confidence,
        resamples=params.compare.resamples,
        warnings=warnings,
        ranking=ranked.merge(groups, on=["track", "split", "condition", "method"], how="left"),
        chosen=best,
        champions=params.gate.tracks,
        baselines=list(params.baselines),
        curves=contracts.read(OUT / "curves.csv", contracts.Curves),
        cases=[case for track, method in best.items() for case in cases.cases(track, method, ranked, scores, params)],
        audit=contracts.read(LABELS / "audit.csv", Audit),
        worst_labels=worst_labels(),
        leakage=json.loads((INGEST / "leakage.json").read_text(encoding="utf-8")),
        card=json.loads((INGEST / "card.json").read_text(encoding="utf-8")),
        protocols=report.load(PROTOCOLS),
        quarantine=contracts.read(INGEST / "quarantine.parquet", contracts.Quarantine),
    )


def worst_labels() -> list[page.LabelPair]:
    """The labels that the audit found worst, beside their inputs."""
    kept = worst.load(LABELS / "worst.npz")
    return [page.LabelPair(one.image, one.reason, *(store.read(pixels.ravel(), 0, *pixels.shape) for pixels in one[2:])) for one in kept]
