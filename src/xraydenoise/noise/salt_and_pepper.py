"""Salt and pepper: y = 1 with probability density * salt, 0 with density * (1 - salt), else x, as scikit-image's 's&p' has it."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from xraydenoise.noise import Amount, Noise, amount, within


class Config(Noise):
    kind: Literal["salt_and_pepper"]
    density: Annotated[Amount, within(0, 1)]  # probability that a pixel is hit
    salt: float = Field(ge=0, le=1)  # share of the hit pixels that become white; the others become black
    clip: Literal[True] = True  # nothing leaves [0, 1]

    @property
    def averages_out(self) -> bool:
        return False

    def degrade(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        density = amount(self.density, clean, generator)
        chance = torch.rand(clean.shape, generator=generator, device=clean.device)
        return torch.where(chance < density, (chance < density * self.salt).to(clean.dtype), clean)
