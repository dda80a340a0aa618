"""Before, after and what was taken away, side by side in one PNG, on one scale of grays."""

import cv2
import numpy as np

from xraydenoise.files.shown import Shown

NARROWEST = 280  # px of a panel; less would leave no room for its heading
GAP = 6  # px between panels
MIDDLE = 0.5  # the gray of no difference
FONT = cv2.FONT_HERSHEY_SIMPLEX
TEXT, BACK = 235, 40  # grays


def png(before: Shown, after: Shown) -> bytes:
    """Three panels as a PNG of 8 bit, their own pixels one to one; headings tell the scale, which is that of `before` for all three."""
    low, high = before.window
    first, second = (_scaled(picture.values, low, high, before.inverted) for picture in (before, after))
    taken = first - second + np.float32(MIDDLE)
    if before.padding is not None:
        first[before.padding], taken[before.padding] = 0, MIDDLE
        second[before.padding] = 0
    black, white = (high, low) if before.inverted else (low, high)
    headings = [
        [", ".join(filter(None, ("before", before.note))), f"black {black:g}, white {white:g}"],
        ["after", "same scale"],
        ["before - after", f"mid-gray 0, {'black' if before.inverted else 'white'} {(high - low) / 2:g}"],
    ]
    panels = [_panel(gray, heading) for gray, heading in zip((first, second, taken), headings, strict=True)]
    gap = np.full((len(panels[0]), GAP), BACK, np.uint8)
    return cv2.imencode(".png", np.hstack([panels[0], gap, panels[1], gap, panels[2]]))[1].tobytes()


def _scaled(values: np.ndarray, low: float, high: float, inverted: bool) -> np.ndarray:
    """Values -> float32, 0 black and 1 white, those beyond too."""
    scaled = (values.astype(np.promote_types(values.dtype, np.float32)) - low) / (high - low)
    return np.asarray(1 - scaled if inverted else scaled, np.float32)


def _panel(gray: np.ndarray, heading: list[str]) -> np.ndarray:
    """A picture (H, W), 0 black and 1 white, under its heading: uint8."""
    pixels = np.floor(gray.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    beside = max(0, NARROWEST - pixels.shape[1])
    pixels = np.pad(pixels, ((0, 0), (beside // 2, beside - beside // 2)), constant_values=BACK)
    size = pixels.shape[1] / 560  # of the letters: legible where all of a large picture is on the screen
    line = int(34 * size)  # px
    strip = np.full((line * len(heading) + line // 2, pixels.shape[1]), BACK, np.uint8)
    for row, text in enumerate(heading, start=1):
        cv2.putText(strip, text, (line // 3, row * line), FONT, size, TEXT, max(1, round(1.5 * size)), cv2.LINE_AA)
    return np.vstack([strip, pixels])
