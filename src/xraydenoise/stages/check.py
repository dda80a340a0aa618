"""check: what can be found wrong before any compute is spent; params.yaml itself is checked as it is read."""

from pathlib import Path

from xraydenoise.labelling import weights
from xraydenoise.params import Params
from xraydenoise.stages import start


def run(params: Params) -> None:
    """Raise ValueError or OSError where a dataset lacks a file that it names, weights that a model begins from do not fit it, or
    Real-ESRGAN's weights are missing or not the pinned ones.

    Weights behind a URL are checked when they have been fetched.
    """
    for source in params.datasets.values():
        source.check()
    start.check(params)
    if not weights.is_url(params.label.weights):
        weights.locate(params.label.network, params.label.weights, Path("work/weights"))
