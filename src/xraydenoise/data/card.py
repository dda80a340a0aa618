"""The dataset card: where the pictures come from, under which licence, how many, how large, how deep, how noisy, and what was refused."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pywt  # type: ignore[import-untyped]

from xraydenoise.contracts import SPLITS
from xraydenoise.data import splits, store
from xraydenoise.tables import markdown, text

NAMED = 3  # origins that the page names; the JSON has all
MEASURED = 200  # pictures of a dataset, at most, whose noise is estimated
CONSTANT = 1e-6  # of full scale; single precision leaves smaller coefficients where all pixels are one value, the store's step larger ones
UNKNOWN = "not stated"


def describe(images: pd.DataFrame, quarantine: pd.DataFrame, origins: pd.DataFrame, pixels: np.ndarray) -> dict[str, Any]:
    """The card, as JSON takes it: an entry a dataset, and one identity for all pictures and splits together.

    `images`: contracts.Images; `quarantine`: contracts.Quarantine; `origins`: `source`, `kind`, `origin` and `licence` of every file;
    `pixels`: the open store.
    """
    names = sorted(set(origins["source"]))
    return {
        "identity": splits.identity(images["image"] + images["split"]),
        "pictures": len(images),
        "patients": int(images["patient"].nunique()),
        "datasets": {
            name: _dataset(
                images[images["source"] == name],
                quarantine[quarantine["source"] == name],
                origins[origins["source"] == name],
                pixels,
            )
            for name in names
        },
    }


def _dataset(images: pd.DataFrame, quarantine: pd.DataFrame, origins: pd.DataFrame, pixels: np.ndarray) -> dict[str, Any]:
    return {
        "kind": ", ".join(_distinct(origins["kind"])),
        "origin": _distinct(origins["origin"]),
        "licences": _distinct(origins["licence"]),
        "files": len(origins),
        "pictures": len(images),
        "patients": int(images["patient"].nunique()),
        "splits": {split: int((images["split"] == split).sum()) for split in SPLITS},
        "native_width": _range(images["native_width"]),
        "native_height": _range(images["native_height"]),
        "spacing": _range(images["spacing"].dropna()),
        "bits": _counts(images["bits"]),
        "views": _counts(images["view"]),
        "labels": _counts(images["label"]),
        "burned_in": int(images["burned_in"].sum()),
        "noise": noise(images, pixels),
        "quarantine": _counts(quarantine["reason"]),
    }


def noise(images: pd.DataFrame, pixels: np.ndarray) -> dict[str, float]:
    """Median and largest noise level of the stored pictures, standard deviation as a fraction of full scale, and how many were measured:
    at most `MEASURED`, evenly over the manifest."""
    if images.empty:
        return {}
    chosen = images.iloc[np.unique(np.linspace(0, len(images) - 1, MEASURED).round().astype(int))]
    rows = zip(chosen["offset"], chosen["height"], chosen["width"], strict=True)
    levels = [noise_level(store.read(pixels, *row)) for row in rows]
    return {"median": round(float(np.median(levels)), 5), "largest": round(max(levels), 5), "measured": len(levels)}


def noise_level(picture: np.ndarray) -> float:
    """Standard deviation of the noise in float32 (H, W), which fine anatomy raises and scaling down lowers; 0 where nothing varies.

    Donoho and Johnstone 1994: the median absolute deviation of the finest diagonal wavelet coefficients; only of those that are not
    `CONSTANT`, since a collimator's border and saturated air would outvote the noise. scikit-image leaves out exact zeros alone: black.
    """
    diagonal = np.abs(pywt.dwt2(picture, "db2")[1][2])
    varying = diagonal[diagonal > CONSTANT]
    return float(np.median(varying) / 0.6745) if varying.size else 0.0


def readable(card: dict[str, Any]) -> str:
    """The card as a Markdown page."""
    lines = ["# Dataset card", "", f"{card['pictures']} pictures of {card['patients']} patients; identity `{card['identity']}`."]
    for name, dataset in card["datasets"].items():
        lines += ["", f"## {text(name)}", "", markdown(pd.DataFrame(_facts(dataset), columns=["", name]))]
    lines += ["", "Noise is estimated from the stored pictures by their finest wavelet coefficients (Donoho and Johnstone 1994), as a"]
    lines += ["standard deviation in fractions of full scale: what the truth itself holds of noise, and no denoiser can be told to keep."]
    return "\n".join(lines) + "\n"


def _facts(dataset: dict[str, Any]) -> list[tuple[str, str]]:
    more = f"; and {len(dataset['origin']) - NAMED} more" if len(dataset["origin"]) > NAMED else ""
    level, total = dataset["noise"], dataset["pictures"]
    share = f" of {level['measured']} measured" if level and level["measured"] < total else ""
    sizes = {"width": dataset["native_width"], "height": dataset["native_height"]}
    return [
        ("source", f"{dataset['kind']}: {'; '.join(dataset['origin'][:NAMED])}{more}"),
        ("licence", "; ".join(dataset["licences"])),
        ("files", str(dataset["files"])),
        ("pictures", f"{dataset['pictures']} of {dataset['patients']} patients"),
        ("splits", _listed(dataset["splits"])),
        ("size, px", ", ".join(f"{side} {_span(span)}" for side, span in sizes.items())),
        ("mm a pixel, as stored", _span(dataset["spacing"])),
        ("bits", _listed(dataset["bits"])),
        ("views", _listed(dataset["views"])),
        ("labels", _listed(dataset["labels"])),
        ("text in the pixels", f"{dataset['burned_in']} pictures, as their headers say"),
        ("noise level", f"median {level['median']}, largest {level['largest']}{share}" if level else "none"),
        ("in quarantine", _listed(dataset["quarantine"]) or "none"),
    ]


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def _range(values: "pd.Series[Any]") -> list[float]:
    return [] if values.empty else [round(float(values.min()), 4), round(float(values.max()), 4)]


def _span(span: list[float]) -> str:
    return UNKNOWN if not span else f"{span[0]:g}" if span[0] == span[1] else f"{span[0]:g} to {span[1]:g}"


def _counts(values: "pd.Series[Any]") -> dict[str, int]:
    counted = values.astype(object).where(values.notna(), UNKNOWN).astype(str).value_counts()
    return {str(key): int(count) for key, count in sorted(counted.items())}


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{key}: {count}" for key, count in counts.items())
