"""Noisy enhanced pictures: noise joins the plain picture, whose enhancement amplifies it, or the enhanced one, or both."""

from collections.abc import Callable

from torch import Tensor

from xraydenoise.enhancement import Position, amplify, apply


def noisy(
    noise: Callable[[Tensor], Tensor], plain: Tensor, linear: Tensor, gains: Tensor, curves: Tensor, position: Position
) -> Tensor:  # (B, 1, H, W)
    """Enhanced pictures with noise, float32 (B, 1, H, W), from the plain ones and from `linear`, what amplification made of these.

    `gains` (B, 8) and `curves` (B, 4) are those of each picture's preset. Amplification is linear, so the noise is amplified alone and
    added: a crop needs nothing of the picture around it but what `linear` holds. Only the noise's own part slower than the crop is lost.
    """
    amplified = linear if position == "after" else linear + amplify(noise(plain) - plain, gains)
    enhanced = apply(amplified, curves)
    return enhanced if position == "before" else noise(enhanced)
