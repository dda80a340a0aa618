"""check: what can be found wrong before any compute is spent; params.yaml itself is checked as it is read."""

from xraydenoise.labelling import weights
from xraydenoise.params import Params
from xraydenoise.stages import start


def run(params: Params) -> None:
    """Raise ValueError or OSError where a dataset lacks a file that it names, weights that a model begins from do not fit it, or
    Real-ESRGAN's weights are missing or not the pinned ones. `reach` asks for weights behind a URL."""
    for source in params.datasets.values():
        source.check()
    start.check(params)
    if not weights.is_url(params.label.weights):
        weights.locate(params.label.network, params.label.weights, weights.FOLDER)


def reach(params: Params) -> str:
    """What was found out about Real-ESRGAN's weights, for the end of a sentence. Raises ConnectionError where their URL leads nowhere.

    Their hash is known when they have been fetched, which stage label does.
    """
    if not weights.is_url(params.label.weights):
        return "are the pinned ones"
    size = weights.reach(params.label.network, params.label.weights, weights.FOLDER)
    return "lie in work/weights" if size is None else f"can be fetched ({size / 1e6:.1f} MB; their hash is checked when they are)"
