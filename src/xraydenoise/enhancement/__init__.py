"""Enhancement: what makes a radiograph easier to read, and its noise easier to see (the input of the track `enhanced`)."""

from pydantic import Field, field_validator

from xraydenoise import kinds
from xraydenoise.enhancement.presets import PRESETS, enhance

__all__ = ["PRESETS", "EnhanceConfig", "enhance"]


class Counts(kinds.Config):
    """At most so many pictures of each split."""

    train: int = Field(ge=1)
    val: int = Field(ge=1)
    test: int = Field(ge=1)


class EnhanceConfig(kinds.Config):
    """Which presets are applied to how many pictures, and how much of each is kept."""

    presets: tuple[str, ...] = Field(min_length=1)
    images: Counts
    region: int = Field(ge=32)  # px, side of the square that is kept; a smaller picture is kept whole

    @field_validator("presets")
    @classmethod
    def known(cls, presets: tuple[str, ...]) -> tuple[str, ...]:
        """Every preset exists, and none is named twice."""
        if unknown := [preset for preset in presets if preset not in PRESETS]:
            raise ValueError(f"unknown: {', '.join(unknown)}; expected some of {', '.join(PRESETS)}")
        if len(set(presets)) < len(presets):
            raise ValueError("a preset is named twice; name each once")
        return presets
