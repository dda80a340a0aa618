"""What a network costs and how far it sees, measured on the network itself."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from xraydenoise.models import Network, initialised
from xraydenoise.models import parameters as count

SIDE = 256  # px of the square that operations are counted on
STRIP = (8, 512)  # px, height and width of the picture that the reach is measured on


def parameters(network: Network) -> int:
    """How many numbers it learns."""
    with torch.device("meta"):
        return count(network.build())


def mflop(network: Network) -> float:
    """Floating-point operations for one pixel in millions, a multiplication and an addition counted as two; nothing is computed."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network.build().eval()(torch.empty(1, 1, SIDE, SIDE))
    return float(counter.get_total_flops() / SIDE**2 / 1e6)


@torch.inference_mode()
def receptive_field(network: Network) -> int:
    """Width in px of what one pixel changes, at most that of the strip: a NaN goes wherever its pixel does."""
    picture = torch.full((1, 1, *STRIP), 0.5, dtype=torch.float64)  # in which no Winograd kernel spreads it further than the weights do
    picture[..., STRIP[0] // 2, STRIP[1] // 2] = torch.nan
    reached = initialised(network, 0).double().eval()(picture).isnan()
    columns = reached[0, 0].any(dim=0).nonzero()
    return int(columns.max() - columns.min() + 1)
