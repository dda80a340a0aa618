"""check: what can be found wrong before any compute is spent; params.yaml itself is checked as it is read."""

from pathlib import Path

from xraydenoise.labelling import weights
from xraydenoise.params import Params


def run(params: Params) -> None:
    """Raise ValueError or OSError where the label network's weights are not there, or not the pinned ones; a URL later."""
    if not weights.is_url(params.label.weights):
        weights.locate(params.label.network, params.label.weights, Path("work/weights"))
