"""Seconds that `best` and `fast` take on one core for a picture of 512 x 512 px, beside FFDNet in the same precision and run.

FFDNet (Zhang et al. 2018): 15 convolutions of 64 channels behind a 2x unshuffle, told the noise in a fifth channel. The runs alternate, so
that another process on the machine slows all of them, and the least of each counts.
Run: OMP_NUM_THREADS=1 python bench/denoise.py [SIDE]
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from xraydenoise import load_denoiser
from xraydenoise.device import bf16_supported
from xraydenoise.inference import Precision

ROUNDS = 9


def ffdnet() -> nn.Module:
    """Without batch normalisation, which is folded into the convolutions once a network is trained."""
    layers: list[nn.Module] = [nn.Conv2d(5, 64, 3, padding=1), nn.ReLU(inplace=True)]
    for _ in range(13):
        layers += [nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(inplace=True)]
    network = nn.Sequential(*layers, nn.Conv2d(64, 4, 3, padding=1))
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def least(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of the fastest of each, after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: min(each[1:]) for name, each in times.items()}


def main(side: int) -> None:
    torch.set_num_threads(1)
    picture = np.random.default_rng(0).random((side, side), np.float32)
    network, seen = ffdnet(), torch.rand(1, 5, side // 2, side // 2)
    precisions: list[Precision] = ["fp32", "bf16"] if bf16_supported(torch.device("cpu")) else ["fp32"]
    for precision in precisions:

        @torch.inference_mode()
        def rival(half: bool = precision == "bf16") -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                network(seen)

        runs: dict[str, Callable[[], object]] = {"FFDNet": rival}
        for name in ("best", "fast"):
            denoise = load_denoiser(name, "cpu", precision)
            runs[name] = lambda denoise=denoise: denoise(picture)  # type: ignore[misc]
        times = least(runs)
        told = (f"{name} {seconds:.3f} s ({seconds / times['FFDNet']:.2f})" for name, seconds in times.items())
        print(f"{side} x {side} px, {precision}: {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 512)
