"""Turns folders of radiographs into the best X-ray denoiser that can be had for them, and proves it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xraydenoise.denoise import load_denoiser as load_denoiser


def __getattr__(name: str) -> Any:
    """`load_denoiser`, imported when it is asked for: torch would make every command wait."""
    if name == "load_denoiser":
        from xraydenoise.denoise import load_denoiser

        return load_denoiser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
