"""Pictures that MLflow's page of compared runs puts side by side: the same file under every run, of the same region.

That page shows the files that all chosen runs have at the top of their artifacts. In the image charts that `log_image` makes, each picture
stands below a caption of all parameters of its run, which hides it.
"""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from xraydenoise import disk
from xraydenoise.registry import runs
from xraydenoise.registry.runs import Method
from xraydenoise.registry.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

DIGEST = "xraydenoise.images"  # tag: what is shown under a run
SIDE = 256  # px; a larger picture is shown by its centre, since shrinking it would average the noise away
LABEL = 16  # px, height of the line above a picture that says what it is
RESIDUAL = 0.1  # fraction of full scale that the residual's black lies below, and its white above, its middle gray


class Shown(NamedTuple):
    """One test picture as one method sees it."""

    condition: str
    number: int  # of the picture, the same under every method
    layers: Mapping[str, np.ndarray]  # float (H, W), 1.0 = full scale


def layers(noisy: np.ndarray, median: np.ndarray, denoised: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """What is shown of a picture (H, W): all four, and the residual denoised - truth, where middle gray is none."""
    residual = 0.5 + (denoised - truth) / (2 * RESIDUAL)
    return {"noisy": noisy, "median": median, "denoised": denoised, "truth": truth, "residual": residual}


def sheet(pictures: Mapping[str, np.ndarray]) -> np.ndarray:
    """The centres of pictures of one size (H, W), two in a row, each below its name, in 8 bit as screens show it; uint8 (H', W')."""
    panels = []
    for name, picture in pictures.items():
        top, left = (max(0, (side - SIDE) // 2) for side in picture.shape)
        gray = np.rint(np.clip(picture[top : top + SIDE, left : left + SIDE], 0, 1) * np.iinfo(np.uint8).max).astype(np.uint8)
        label = np.zeros((LABEL, gray.shape[1]), np.uint8)
        cv2.putText(label, name, (3, LABEL - 4), cv2.FONT_HERSHEY_PLAIN, 0.9, 255)
        panels.append(np.vstack([label, gray]))
    panels += [np.zeros_like(panels[0])] * (len(panels) % 2)
    return np.vstack([np.hstack(panels[start : start + 2]) for start in range(0, len(panels), 2)])


def log(store: Store, run: "Run", method: Method, shown: Sequence[Shown]) -> int:
    """Log the pictures of a method, and none where the run shows these very ones; how many they were."""
    sheets = {}
    for one in shown:
        name = f"{one.condition} {one.number}"  # on the picture too, as that page has little room for names
        sheets[f"{name} {method.track}.png"] = sheet({f"{name}: {layer}": picture for layer, picture in one.layers.items()})
    digest = hashlib.sha256()
    for name, picture in sheets.items():
        digest.update(repr((name, picture.shape)).encode() + picture.tobytes())
    if not sheets or run.data.tags.get(DIGEST) == digest.hexdigest():
        return 0
    client, place = store.client, run.info.run_id
    for file in client.list_artifacts(place):
        if file.path.endswith(".png") and file.path not in sheets:  # of an older evaluation
            runs.delete(run, file.path)
    with tempfile.TemporaryDirectory() as folder:
        for name, picture in sheets.items():
            disk.write(Path(folder, name), cv2.imencode(".png", picture)[1].tobytes())
        client.log_artifacts(place, folder)
    client.set_tag(place, DIGEST, digest.hexdigest())
    return len(sheets)
