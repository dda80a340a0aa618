"""BM3D (Dabov, Foi, Katkovnik, Egiazarian 2007; Makinen, Azzari, Foi 2020), by its authors' package, whose licence is non-commercial."""

import importlib
import importlib.util
from typing import Literal

import numpy as np
from pydantic import field_validator

from xraydenoise.evaluation.baselines.base import Baseline, Range, Rising, Setting

SMALLEST = 16  # px, side; 8x8 px crash the process


class Config(Baseline):
    kind: Literal["bm3d"]
    sigmas: Rising  # standard deviation of the noise that is taken out, fraction of full scale

    @field_validator("kind")
    @classmethod
    def package_is_there(cls, kind: str) -> str:
        if importlib.util.find_spec("bm3d") is None:
            raise ValueError(
                "the package bm3d is not installed; run `pip install 'xraydenoise[bm3d]'` if its non-commercial licence suits you, "
                "or take this entry out"
            )
        return kind

    def ranges(self) -> dict[str, Range]:
        return {"sigma": Range(self.sigmas)}

    def denoise(self, noisy: np.ndarray, setting: Setting) -> np.ndarray:
        package = importlib.import_module("bm3d")  # not at the top: nobody needs it but who asks for it
        profile = package.BM3DProfile()
        profile.num_threads = 1  # more make the result differ from run to run
        height, width = noisy.shape
        framed = np.pad(noisy, [(0, max(SMALLEST - size, 0)) for size in noisy.shape], mode="symmetric")
        return np.asarray(package.bm3d(framed, setting["sigma"], profile)[:height, :width], np.float32)
