"""Noise-free synthetic chest radiographs: Beer-Lambert projections of random ellipsoids and tubes, for tests and first tries.

A ray that meets thickness t_i of matter with attenuation mu_i keeps the intensity I = exp(-sum mu_i t_i). The picture is 1 - I, so that
bone is bright (MONOCHROME2) and air is black. Lungs are ellipsoids whose attenuation is negative: air in the place of tissue.
"""

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pandas as pd
from pydantic import Field

from xraydenoise import disk
from xraydenoise.data import sources
from xraydenoise.data.depth import FULL_SCALE
from xraydenoise.progress import progress

TISSUE, LUNG, HEART, BONE, VESSEL, OPACITY = 1.3, -1.05, 0.5, 2.2, 1.2, 0.8  # attenuation a unit of length; half the picture's width is 1
VESSELS = 24  # tubes, the fine detail that a denoiser is judged by


class Config(sources.Source):
    kind: Literal["phantom"]
    patients: int = Field(ge=1)
    images_per_patient: int = Field(ge=1)
    size: int = Field(ge=32, le=1024)  # px, both sides
    seed: int = Field(ge=0)

    def fetch(self, destination: Path) -> pd.DataFrame:
        """Draw and write every picture as a 16-bit PNG; the same seed gives the same files."""
        (destination / sources.FILES).mkdir(parents=True)
        rows: list[sources.Row] = []
        pairs = [(patient, image) for patient in range(self.patients) for image in range(self.images_per_patient)]
        for patient, image in progress(pairs, "drawing phantoms", total=len(pairs)):
            pixels = np.rint(draw(self.size, self.seed, patient, image) * FULL_SCALE).astype(np.uint16)
            path = f"{sources.FILES}/p{patient:04d}_{image:03d}.png"
            disk.write(destination / path, cv2.imencode(".png", pixels)[1].tobytes())
            label = "opacity" if opaque(patient) else "clear"
            rows.append(sources.Row(path, f"p{patient:04d}", "chest phantom", label, "CC0 (computed)", f"phantom, seed {self.seed}"))
        return sources.listing(rows)


def draw(size: int, seed: int, patient: int, image: int) -> np.ndarray:
    """float64 (size, size) in [0, 1]: one patient's anatomy, placed a little differently in each image."""
    body = np.random.default_rng([seed, patient])
    pose = np.random.default_rng([seed, patient, image])
    axis = (np.arange(size) + 0.5) * (2 / size) - 1
    shift, angle = pose.normal(0, 0.04, 2), pose.normal(0, 0.03)
    x, y = axis[None, :] - shift[0], axis[:, None] - shift[1]
    x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)  # (size, size) each, y downwards
    lung = body.uniform(0.30, 0.36), body.uniform(0.52, 0.62)  # half axes
    centre = body.uniform(0.38, 0.42)

    path = TISSUE * ellipsoid(x, y, 0, 0.1, body.uniform(0.85, 0.95), 1.3, 0.62)
    for side in (-1, 1):
        path += LUNG * ellipsoid(x, y, side * centre, -0.02, *lung, 0.45)
    if opaque(patient):
        path += OPACITY * ellipsoid(x, y, centre, 0.15, 0.16, 0.2, 0.3)
    path += HEART * ellipsoid(x, y, 0.12, 0.22, body.uniform(0.25, 0.33), 0.32, 0.4)
    path += BONE * tube(np.abs(x), 0.07, hollow=0.4)  # spine
    for rib in range(8):
        radius, top = 0.75 + 0.03 * rib, -0.62 + 0.16 * rib + body.normal(0, 0.01)
        for side in (-1, 1):
            arc = np.abs(np.hypot(x - side * 0.25, y - top - radius) - radius)
            inside = (side * x > 0.07) & (side * x < 0.74) & (y < top + radius)
            path += BONE * inside * tube(arc, 0.028, hollow=0.6)
    for _ in range(VESSELS):
        side = body.choice((-1, 1))
        start = np.array([side * 0.16, body.uniform(-0.15, 0.2)])
        reach = np.array([side * body.uniform(0.1, 0.42), body.uniform(-0.4, 0.4)])
        path += VESSEL * tube(segment(x, y, start, start + reach), body.uniform(0.006, 0.02), hollow=0)
    return 1 - np.exp(-np.maximum(path, 0))


def opaque(patient: int) -> bool:
    """Whether a patient has an opacity in one lung, as pneumonia makes: every second one, so that there is something to classify."""
    return patient % 2 == 1


def ellipsoid(x: np.ndarray, y: np.ndarray, cx: float, cy: float, a: float, b: float, c: float) -> np.ndarray:
    """Thickness along the ray of an ellipsoid with half axes a (across), b (down) and c (along the ray)."""
    return 2 * c * np.sqrt(np.maximum(0, 1 - ((x - cx) / a) ** 2 - ((y - cy) / b) ** 2))


def tube(distance: np.ndarray, radius: float, hollow: float) -> np.ndarray:
    """Thickness of a tube's wall at a distance from its axis; `hollow` is the share of the radius that is empty."""
    outer = np.sqrt(np.maximum(0, radius**2 - distance**2))
    return 2 * (outer - np.sqrt(np.maximum(0, (hollow * radius) ** 2 - distance**2)))


def segment(x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance of every pixel from a straight line between two points."""
    along = end - start
    t = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (along @ along), 0, 1)
    distance: np.ndarray = np.hypot(x - start[0] - t * along[0], y - start[1] - t * along[1])
    return distance
