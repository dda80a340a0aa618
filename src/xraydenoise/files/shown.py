"""A file's picture as people look at it, read from the file itself: what is compared is what was written."""

from typing import NamedTuple

import numpy as np

from xraydenoise.data import magic
from xraydenoise.data.dicom import frames
from xraydenoise.files import formats

ROBUST = (0.5, 99.5)  # percentiles that are shown black and white


class Shown(NamedTuple):
    """The picture of a file, or the first of several."""

    values: np.ndarray  # (H, W), integers or floats, as they are stored
    padding: np.ndarray | None  # bool (H, W)
    inverted: bool  # low values are shown bright
    pictures: int  # or frames, in the file

    @property
    def note(self) -> str:
        """What a reader must know of a file of several pictures; "" for one."""
        return f"first of {self.pictures}" if self.pictures > 1 else ""

    @property
    def tissue(self) -> np.ndarray:
        """The values that are no padding; all, where nothing else is there."""
        return self.values if self.padding is None or self.padding.all() else self.values[~self.padding]

    @property
    def window(self) -> tuple[float, float]:
        """The lowest and the highest value of a display of nearly all that is no padding; the second is always above the first."""
        low, high = (float(value) for value in np.percentile(self.tissue, ROBUST))
        if low == high:
            low, high = float(self.tissue.min()), float(self.tissue.max())
        return low, high if low < high else low + 1


def shown(content: bytes) -> Shown:
    """The picture in a file that `formats.denoised` takes, or has made. Raises Refused for another."""
    if magic.begins(content):
        return Shown(*frames.first(content, formats.MAX_MEGAPIXELS))
    if content.startswith(formats.NPY):
        pixels = formats.native(formats.array(content))
        pictures = pixels.reshape(-1, *pixels.shape[-2:])
        return Shown(pictures[0], None, False, len(pictures))
    return Shown(formats.raster(content), None, False, 1)
