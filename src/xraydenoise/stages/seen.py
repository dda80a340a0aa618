"""Which pictures of the project a network has seen: those that it was trained on or chosen by, here or where its weights come from."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from xraydenoise import contracts
from xraydenoise.data import duplicates, learnt
from xraydenoise.data.learnt import Learnt

START = Path("artifacts/start")
NOISE = Path("artifacts/tracks/noise")


class Pictures:
    """The project's pictures by their ids, with the signatures that tell copies of them."""

    def __init__(self) -> None:
        self.images = contracts.read(NOISE / "manifest.parquet", contracts.Track)["image"]
        self.signatures = np.load(NOISE / duplicates.FILE, allow_pickle=False)

    def learnt(self, images: pd.Series) -> Learnt:
        """Pictures as a network that learns from `images` has seen them; regions count as the pictures that they were cut from."""
        chosen = self.images.isin(contracts.pictures(images))
        return Learnt(tuple(self.images[chosen]), self.signatures[chosen.to_numpy()])

    def seen(self, known: Learnt, images: pd.Series) -> frozenset[str]:
        """Those of `images`, or of the pictures that they were cut from, that a network which has seen `known` knows."""
        pictures = contracts.pictures(images)
        asked = self.learnt(images)
        found = learnt.seen(known, asked.images, asked.signatures)
        return frozenset(images[pictures.isin(found)])


def begun(name: str) -> Learnt | None:
    """What the weights have seen that model `name` begins from: nothing where it begins anew, None where they do not tell."""
    folder = START / name
    return learnt.load(folder) if (folder / "weights.safetensors").exists() else learnt.NOTHING


def counted(names: Iterable[str], images: pd.Series) -> dict[str, frozenset[str] | None]:
    """The `images` that the weights have seen from which each of these models begins; None where they do not tell."""
    pictures = Pictures()
    known = {name: begun(name) for name in names}
    return {name: None if found is None else pictures.seen(found, images) for name, found in known.items()}
