"""Pictures before and after in one HTML file that needs no network, in the viewer of the pipeline's report."""

import math
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from xraydenoise import viewer
from xraydenoise.files.shown import Shown
from xraydenoise.viewer import pictures
from xraydenoise.viewer.text import plain, text

MOST = 50  # pictures on a page
AREA = 12_000_000  # px of all pictures together: a browser takes the file, of 30 to 60 MB, and one picture of 3000 x 4000 px is there whole
FULL = 65535  # steps between the lowest and the highest of real numbers


class Page:
    """A page that pictures are added to one by one; only what will be shown of them is kept."""

    def __init__(self, expected: int) -> None:
        """`expected` is how many pictures will be added at most, which share the page's room."""
        self._room = AREA // max(1, min(expected, MOST))  # px of a picture
        self._cases: list[dict[str, Any]] = []
        self._pictures: list[str] = []
        self._count = 0

    def add(self, name: str, before: Shown, after: Shown) -> None:
        """Show a file's picture under its name; those after the first `MOST` are counted only."""
        self._count += 1
        if len(self._cases) == MOST:
            return
        height, width = before.values.shape
        if side := self._side(height, width):  # the middle of it: a smaller copy of it all would have less noise
            before, after = (_middle(picture, side) for picture in (before, after))
        lowest = min(float(picture.tissue.min()) for picture in (before, after))
        highest = max(float(picture.tissue.max()) for picture in (before, after))
        real = before.values.dtype.kind == "f"
        full = FULL if real else max(1, int(highest - lowest))
        step = (highest - lowest) / full or 1.0
        low, high = ((end - lowest) / step / full for end in before.window)
        low, high = (1 - high, 1 - low) if before.inverted else (low, high)
        scale = f"values {lowest:g} to {highest:g}{f' in {full + 1} grays' if real else ''}"
        case: dict[str, Any] = {"track": "", "condition": "", "kind": "", "image": plain(name), "patient": ""}
        case |= {"note": ", ".join(filter(None, (before.note, scale))), "height": height, "width": width}
        case |= {"full": full, "window": {"width": high - low, "level": (low + high) / 2}, "layers": []}
        for layer, picture in (("before", before), ("after", after)):
            case["layers"].append({"name": layer, "psnr": "", "picture": len(self._pictures)})
            self._pictures.append(pictures.uri(_grays(picture, lowest, step, full)))
        self._cases.append(case)

    def html(self, told: str) -> str:
        """The page; `told` says what took the noise away."""
        shell = (resources.files(__package__) / "page.html").read_text(encoding="utf-8")
        data = {"chosen": {"": "after"}, "truth": False, "cases": self._cases, "pictures": self._pictures}
        return Template(shell).substitute(
            style=viewer.STYLE,
            style_hash=viewer.digest(viewer.STYLE),
            script=viewer.SCRIPT,
            script_hash=viewer.digest(viewer.SCRIPT),
            data=viewer.embedded(data),
            told=text(told),
            shown=self._shown(),
            viewer=viewer.markup("What was taken away", shown=bool(self._cases)),
        )

    def _side(self, height: int, width: int) -> int | None:
        """Of the middle that is shown of a picture, in px; None where it is shown whole."""
        if height * width > self._room:
            return math.isqrt(self._room)
        return pictures.LONGEST if max(height, width) > pictures.LONGEST else None

    def _shown(self) -> str:
        if not self._cases:
            return "No file was denoised."
        left = self._count - len(self._cases)
        said = (
            f"The first {len(self._cases)} of {self._count} files; {left} are left out."
            if left
            else f"{self._count} file{'s' * (self._count > 1)}."
        )
        if any(self._side(case["height"], case["width"]) for case in self._cases):
            most = f"{self._room / 1e6:.2g} megapixels or {pictures.LONGEST} px a side"
            said += f" Of pictures of more than {most} the middle is shown, pixel by pixel: a smaller copy would have less noise."
        return f"{said} Integers are stored without loss. The first window is that of nearly all values."


def _middle(picture: Shown, side: int) -> Shown:
    padding = None if picture.padding is None else pictures.centre(picture.padding, side)
    return picture._replace(values=pictures.centre(picture.values, side), padding=padding)


def _grays(picture: Shown, lowest: float, step: float, full: int) -> np.ndarray:
    """Steps above the lowest value, (H, W) of uint8 or uint16: 0 is black, and so is padding."""
    grays = np.rint((picture.values - lowest) / step).clip(0, full)
    grays = full - grays if picture.inverted else grays
    if picture.padding is not None:
        grays[picture.padding] = 0
    return np.asarray(grays, np.uint8 if full <= pictures.SCREEN else np.uint16)
