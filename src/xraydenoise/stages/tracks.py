"""The pictures of a track as stages read them from disk: truth, target, and how noise joins them."""

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xraydenoise import contracts, enhancement
from xraydenoise.data import store
from xraydenoise.enhancement import Curve, Position
from xraydenoise.training import enhanced as joined

TRACKS = Path("artifacts/tracks")
REGIONS = "regions.parquet"  # lies in the folder of track enhanced alone
CURVE = list(Curve._fields)

Row = Mapping[Hashable, Any]


class Stores(NamedTuple):
    """The open pixel stores that rows of contracts.Regions point into."""

    plain: np.ndarray
    linear: np.ndarray


class Track:
    """The pictures in the folder of a track.

    On track noise the target is the truth. On track enhanced the target is Real-ESRGAN's label, the truth the enhanced plain picture.
    """

    def __init__(self, folder: Path, position: Position | None = None) -> None:
        """`position` is where noise joins on track enhanced; None is where params.yaml had it when the regions were cut."""
        self.folder = folder
        self.rows = contracts.read(folder / "manifest.parquet", contracts.Track)
        self.targets = store.open_store(folder / "targets.npy")
        self.regions = regions(folder, self.rows["image"], position)
        if self.regions is not None:
            self.stores = stores(folder)
            self.enhanced = self.regions.set_index("image").to_dict("index")

    def target(self, row: Row) -> np.ndarray:
        """What a model of the track learns to give, float32 (H, W)."""
        return store.read(self.targets, row["offset"], row["height"], row["width"])

    def truth(self, row: Row) -> np.ndarray:
        """The picture without noise, float32 (H, W)."""
        if self.regions is None:
            return self.target(row)
        return truth(self.stores, self.enhanced[row["image"]])

    def noisy(self, row: Row, noise: Callable[[Tensor], Tensor]) -> np.ndarray:
        """The picture with `noise`, a function of pictures (1, 1, H, W), joined where the track has it; float32 (H, W)."""
        if self.regions is None:
            return np.asarray(noise(_batch(self.target(row)))[0, 0])
        return noisy(self.stores, self.enhanced[row["image"]], noise)


def stores(folder: Path) -> Stores:
    """Those in the folder of track enhanced."""
    return Stores(*(store.open_store(folder / f"{name}.npy") for name in Stores._fields))


def regions(folder: Path, images: pd.Series, position: Position | None = None) -> pd.DataFrame | None:
    """The contracts.Regions of those `images` of track enhanced, in their order; None on a track that has none.

    Raises ValueError naming an image that has no region.
    """
    if not (folder / REGIONS).exists():
        return None
    table = contracts.read(folder / REGIONS, contracts.Regions).set_index("image", drop=False)
    if unknown := sorted(set(images) - set(table.index)):
        raise ValueError(f"{folder}/{REGIONS}: image {unknown[0]} of manifest.parquet is not there; run `dvc repro label`")
    found = table.loc[images].reset_index(drop=True)
    return found if position is None else found.assign(noise=position)


def truth(stores: Stores, region: Row) -> np.ndarray:
    """The enhanced plain picture of a row of contracts.Regions, float32 (H, W)."""
    return enhanced(amplified(stores, region), region)


def noisy(stores: Stores, region: Row, noise: Callable[[Tensor], Tensor]) -> np.ndarray:
    """The same with `noise`, a function of pictures (1, 1, H, W), joined where the region has it; float32 (H, W)."""
    plain = store.read(stores.plain, region["plain"], region["height"], region["width"])
    gains, curves = enhancement.gains([region["preset"]]), _curves(region)
    return np.asarray(joined.noisy(noise, _batch(plain), _batch(amplified(stores, region)), gains, curves, region["noise"])[0, 0])


def amplified(stores: Stores, region: Row) -> np.ndarray:
    """The amplified plain picture before its curve, float32 (H, W); values may leave [0, 1]."""
    return store.read(stores.linear, region["offset"], region["height"], region["width"])


def enhanced(pixels: np.ndarray, region: Row) -> np.ndarray:
    """Amplified `pixels` (H, W) through the curve of a row of contracts.Regions; float32 (H, W) in [0, 1]."""
    return np.asarray(enhancement.apply(_batch(pixels), _curves(region))[0, 0])


def _curves(region: Row) -> Tensor:  # (1, 4)
    return torch.tensor([[region[name] for name in CURVE]], dtype=torch.float32)


def _batch(pixels: np.ndarray) -> Tensor:  # (H, W) -> (1, 1, H, W)
    return torch.from_numpy(np.ascontiguousarray(pixels))[None, None]
