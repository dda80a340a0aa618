"""The model card (Mitchell et al. 2019) of a registered model: what it is, what it learnt from, how well it does, where it ends."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from xraydenoise import weights
from xraydenoise.evaluation.ranking import ALL, count
from xraydenoise.evaluation.statistics import FEW
from xraydenoise.evaluation.verdict import Verdict
from xraydenoise.registry import runs
from xraydenoise.registry.runs import Method
from xraydenoise.tables import markdown, text

WARNING = (
    "**Not for diagnostic use.** It is a research model and no medical device; nobody has examined what it does to a diagnosis. It can "
    "remove faint findings together with the noise, and it can leave structure that is none."
)
USE = """
Gray pictures, uint8, uint16 or floats, of shape (H, W), (B, H, W) or (B, 1, H, W). The answer has the same shape and type. Each picture
is brought to the range that the network knows, and back, so that 12 bits stored in 16 or a dim exposure need no scaling.

```python
model = mlflow.pyfunc.load_model("models:/NAME@champion")
denoised = model.predict(pixels)
```

Served (`mlflow models serve --model-uri models:/NAME@champion --env-manager local`), it takes PNG files of 8 or 16 bit as base64
text and answers with such files of the same depth: `{"inputs": ["iVBORw0..."]}`. Numbers in JSON have no type, so they are read as floats,
and floats come out: `{"inputs": [[0.1, 0.2], [0.3, 0.4]]}`.
"""
SERVES = {"noise": "plain radiographs", "enhanced": "radiographs that one of the presets of stage enhance has enhanced"}  # by track
ALONE = """\
A champion serves one track: `models:/NAME@champion` denoises KIND and is compared with the champion of that track alone. By default
(`gate.tracks: [noise]`) only the best model of track `noise` may become champion: it learnt from the truth, and all test pictures judge
it, under several noises. Models of track `enhanced` learn from labels that a network made, and are judged against the same enhancement
of the plain picture on a few regions, presets and noises.
"""
LIMITS = (
    "The noise is made, and drawn onto pictures that hold some of their own. How it does on a detector's own noise was not measured.",
    "It was scored at the working resolution of these data sets and on their body parts, views and processing; others were not tried.",
    "Averages hide rare faults. The audits find some of them (structure added to clean pictures and flat fields), not all.",
    "Patients of the test set come from the same sources as those that it learnt from.",
)


def model_card(name: str, method: Method, ranking: pd.DataFrame, verdict: Verdict, data: Mapping[str, Any], test_set: str) -> str:
    """The card of what is registered as `name`, Markdown.

    `ranking` is contracts.Ranking, `data` the dataset card, `test_set` the identity of the test images of its track. It
    says what the model is, so it is the same whether it was promoted or not. Raises ValueError where it was not scored on test.
    """
    rows = ranking[(ranking["split"] == "test") & (ranking["track"] == method.track) & (ranking["method"] == method.name)]
    if rows.empty:
        raise ValueError(f"{method.name}: was not scored on test of track {method.track}, so its card would have no numbers")
    audits = [check for check in verdict.checks if check.condition == "" and check.limit == check.limit]  # the others have no limit
    found = pd.DataFrame(
        [(check.check, f"{check.value:.4g}", f"{check.limit:.4g}", "passed" if check.passed else "failed") for check in audits],
        columns=["audit", "found", "limit", "result"],
    )
    recipe = pd.DataFrame([(key, str(value)) for key, value in runs.flatten(method.params)], columns=["parameter", "value"])
    digest = runs.identity(method.folder)
    known = f"{data['pictures']} pictures of {data['patients']} patients, identity `{data['identity']}`"
    images, pictures, patients = (int(rows[column].max()) for column in ("images", "pictures", "patients"))
    unit = "patient" if patients >= FEW else "picture, as patients are few"
    parts = [
        f"# Model card: {method.name}",
        WARNING,
        f"A neural network that removes noise from {SERVES[method.track]}, from track `{method.track}` of xraydenoise; digest `{digest}`.",
        f"## Use\n{USE.rstrip().replace('NAME', name)}\n\n{ALONE.rstrip().replace('NAME', name).replace('KIND', SERVES[method.track])}",
        f"## Data\n\n{known}. {_learnt(method.params['model'])} No patient and no picture stands in two of them.\n\n{_datasets(data)}",
        f"## Scores on test\n\nMeans over {count(images, pictures, patients)}, test set `{test_set}`; gains over the median filter with "
        f"their interval by {unit}.\n\n{_scores(rows)}",
        f"## Audits\n\n{markdown(found)}",
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in (*LIMITS, *map(text, verdict.warnings))),
        f"## Recipe\n\n{markdown(recipe)}",
    ]
    return "\n\n".join(parts) + "\n"


def _learnt(model: Mapping[str, Any]) -> str:
    """What taught it: first its start, then the pictures at hand."""
    start = model["start"]
    begun = f"It begins from the weights `{start}`" if start else ""
    if start in weights.PACKAGED:
        begun += f", which learnt from 440 chest X-rays of NIH ChestX-ray14 (NIH Clinical Center; card: xraydenoise/weights/{start}.md)"
    if model["steps"] == 0:
        return f"{begun}, and is scored on test as it is: nothing here taught it."
    here = "learnt from the training patients, was chosen on val and scored on test."
    return f"{begun}. It {here}" if start else f"It {here}"


def _datasets(data: Mapping[str, Any]) -> str:
    told = [
        (name, one["pictures"], one["patients"], "; ".join(one["licences"]), "; ".join(one["origin"][:3]))
        for name, one in data["datasets"].items()
    ]
    return markdown(pd.DataFrame(told, columns=["dataset", "pictures", "patients", "licences", "origin"]))


def _scores(rows: pd.DataFrame) -> str:
    """A line a condition, that over all conditions last."""
    ordered = rows.sort_values("condition", key=lambda names: names.where(names != ALL, "~"))
    lines = [
        (
            row["condition"],
            f"{row['psnr']:.2f}",
            f"{row['gain_psnr']:+.2f} [{row['gain_psnr_low']:+.2f}, {row['gain_psnr_high']:+.2f}]",
            f"{row['ssim']:.4f}",
            f"{row['gain_ssim']:+.4f} [{row['gain_ssim_low']:+.4f}, {row['gain_ssim_high']:+.4f}]",
        )
        for row in ordered.to_dict("records")
    ]
    return markdown(pd.DataFrame(lines, columns=["condition", "PSNR, dB", "gain, dB", "SSIM", "gain in SSIM"]))
