from pathlib import Path

import numpy as np
import pytest
import torch

from xraydenoise.models.residual_unet import Config

# Seeded weights, inputs and what the reference network (that the packaged weights were trained as) made of them, float32.
GOLDEN = Path(__file__).with_name("residual_unet.npz")


@pytest.mark.parametrize("unshuffle", [1, 2])
@torch.inference_mode()
def test_it_computes_what_the_reference_network_does_under_the_same_parameter_names(unshuffle: int) -> None:
    stored = np.load(GOLDEN)
    prefix = f"{unshuffle}/weights/"
    network = Config.model_validate({"kind": "residual_unet", "channels": [4, 6, 8], "blocks": [2, 1, 2], "unshuffle": unshuffle}).build()
    weights = {name.removeprefix(prefix): torch.from_numpy(stored[name]) for name in stored.files if name.startswith(prefix)}
    network.load_state_dict(weights, strict=True)
    clean = network.eval()(torch.from_numpy(stored[f"{unshuffle}/noisy"])).numpy()
    np.testing.assert_allclose(clean, stored[f"{unshuffle}/clean"], rtol=0, atol=1e-5)
    assert np.abs(clean - stored[f"{unshuffle}/noisy"]).max() > 0.05


def test_a_level_without_its_number_of_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="one number for each of the 3 levels in channels"):
        Config.model_validate({"kind": "residual_unet", "channels": [4, 6, 8], "blocks": [2, 1], "unshuffle": 2})
