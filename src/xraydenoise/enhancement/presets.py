"""The 13 named enhancements, from none to extreme, each a chain of operations: what a viewing station does, and system A did."""

from collections.abc import Callable
from functools import partial

import numpy as np

from xraydenoise.enhancement import clahe, pyramid, tone, unsharp

Operation = Callable[[np.ndarray], np.ndarray]  # float32 (H, W) -> the same

# Gains are for bands around sigma 1, 2, 4, 8, 16, 32 px.
PRESETS: dict[str, tuple[Operation, ...]] = {
    "identity": (),
    "mild": (partial(pyramid.amplify, gains=(1.3, 1.3, 1.2, 1.1)),),
    "sharp": (partial(unsharp.sharpen, sigma=2.0, amount=2.0),),
    "detail": (partial(pyramid.amplify, gains=(3.0, 3.0, 2.0, 1.5, 1.2, 1.0), base=0.8),),
    "detail_strong": (partial(pyramid.amplify, gains=(5.0, 5.0, 3.5, 2.5, 2.0, 1.5), base=0.6),),
    "detail_max": (partial(pyramid.amplify, gains=(8.0, 8.0, 6.0, 4.0, 2.5, 2.0), base=0.5),),
    "structure": (partial(pyramid.amplify, gains=(1.5, 2.0, 3.0, 4.0, 5.0, 4.0), base=0.5),),
    "clahe": (partial(clahe.equalise, limit=2.5),),
    "clahe_detail": (partial(clahe.equalise, limit=2.0), partial(pyramid.amplify, gains=(3.0, 2.5, 1.5))),
    "dark": (partial(tone.gamma, exponent=1.8), partial(pyramid.amplify, gains=(2.0, 2.0, 1.5))),
    "dark_detail": (partial(pyramid.amplify, gains=(5.0, 5.0, 3.0, 2.0, 1.5, 1.0), base=0.7), partial(tone.gamma, exponent=2.2)),
    "dark_equalised": (tone.equalise, partial(tone.gamma, exponent=2.6)),
    "extreme": (
        partial(pyramid.amplify, gains=(8.0, 8.0, 5.0, 3.0, 2.0, 1.5), base=0.6, soften=0.3),
        partial(tone.window, low=0.2, high=0.8),  # times 1.7: the finest bands gain about 12
    ),
}


def enhance(pixels: np.ndarray, preset: str) -> np.ndarray:
    """The picture as `preset` shows it; float32 (H, W) in [0, 1] -> the same, saturated where it would leave [0, 1]."""
    for operation in PRESETS[preset]:
        pixels = operation(pixels)
    saturated: np.ndarray = np.clip(pixels, 0, 1)
    return saturated
