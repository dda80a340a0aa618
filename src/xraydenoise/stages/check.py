"""check: what can be found wrong before any compute is spent; params.yaml itself is checked as it is read."""

from pathlib import Path

from xraydenoise.labelling import weights
from xraydenoise.params import Params


def run(params: Params) -> None:
    """Raises ValueError or OSError where Real-ESRGAN's weights are not there or not the pinned ones; a URL is checked when it is fetched."""
    if not weights.is_url(params.label.weights):
        weights.locate(params.label.network, params.label.weights, Path("work/weights"))
