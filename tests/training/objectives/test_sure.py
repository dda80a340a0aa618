import pytest
import torch

from xraydenoise.models.dncnn import Config as DnCNN
from xraydenoise.noise.gaussian import Config as Gaussian
from xraydenoise.noise.quantum import Config as Quantum
from xraydenoise.training.objectives import Batch, sure

SIGMA = 0.1
OBJECTIVE = sure.Config(kind="sure", sigma=SIGMA)
NETWORK = DnCNN(kind="dncnn", channels=4, depth=3, unshuffle=1, batch_norm=True)
TAKEN = Gaussian(kind="gaussian", mean=0.0, sigma=SIGMA, clip=False)


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.0])
def test_its_mean_over_draws_is_the_true_mse_of_a_linear_denoiser(factor, scaled) -> None:
    """h(y) = a y has the mse (1 - a)^2 mean(x^2) + a^2 sigma^2, which the estimate finds without seeing x."""
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(1, 1, 64, 64, generator=generator)
    risks = []
    for _ in range(300):
        noisy = clean + SIGMA * torch.randn(clean.shape, generator=generator)
        batch = Batch(noisy, torch.full_like(clean, torch.nan), torch.tensor([0]), generator)
        risks.append(OBJECTIVE.loss(scaled(factor), batch, 0.0, None).detach())
    mean, deviation = torch.stack(risks).double().mean().item(), torch.stack(risks).double().std().item()
    truth = (1 - factor) ** 2 * clean.square().mean().item() + factor**2 * SIGMA**2
    assert mean == pytest.approx(truth, abs=1.5e-4)  # 1.5 % of the noise's own 0.01
    assert 5 * deviation / 300**0.5 < 1.5e-4  # five standard errors lie within that tolerance


def test_bf16_does_not_blind_it_to_its_small_step(drawn) -> None:
    network, precisions = torch.nn.Conv2d(1, 1, 3, padding=1), []
    network.register_forward_hook(lambda _network, _noisy, out: precisions.append(out.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        found = OBJECTIVE.loss(network, drawn(), 0.0, None)
    assert precisions == [torch.float32] * 3
    assert found == OBJECTIVE.loss(network, drawn(), 0.0, None)


def test_the_noise_that_it_knows_is_taken() -> None:
    OBJECTIVE.check(NETWORK, [TAKEN])


@pytest.mark.parametrize(
    "noise",
    [
        Gaussian(kind="gaussian", mean=0.0, sigma=SIGMA, clip=True),
        Gaussian(kind="gaussian", mean=0.0, sigma=0.2, clip=False),
        Gaussian(kind="gaussian", mean=0.0, sigma=(0.05, 0.1), clip=False),
        Gaussian(kind="gaussian", mean=0.05, sigma=SIGMA, clip=False),
        Quantum(kind="quantum", peak=30.0, clip=False),
    ],
    ids=["clipped", "another sigma", "a range", "a mean", "another kind"],
)
def test_noise_that_its_formula_does_not_hold_for_is_refused_even_beside_other(noise) -> None:
    with pytest.raises(
        ValueError, match=r"sure takes gaussian noise of mean 0 and sigma 0\.1, clip false, alone; found Config\(.*\)"
    ) as error:
        OBJECTIVE.check(NETWORK, [TAKEN, noise])
    assert repr(noise) in str(error.value)
