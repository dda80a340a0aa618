import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from xraydenoise.training.objectives import feature

OBJECTIVE = feature.Config(kind="feature", weight=0.5)


def test_without_a_classifier_it_is_mse(scaled, drawn) -> None:
    batch = drawn()
    assert OBJECTIVE.loss(scaled(0.5), batch, 0.0, None) == F.mse_loss(0.5 * batch.noisy, batch.target)


def test_with_one_the_mean_error_of_its_four_blocks_is_added(scaled, drawn, judge) -> None:
    batch = drawn()
    pairs = zip(judge.features(0.5 * batch.noisy), judge.features(batch.target), strict=True)
    blocks = [(found - wanted).square().mean() for found, wanted in pairs]
    assert len(blocks) == 4
    loss = OBJECTIVE.loss(scaled(0.5), batch, 0.0, judge)
    torch.testing.assert_close(loss, F.mse_loss(0.5 * batch.noisy, batch.target) + 0.5 * sum(blocks) / 4)
    assert loss > OBJECTIVE.loss(scaled(0.5), batch, 0.0, None)


def test_at_the_target_there_is_nothing_to_add(scaled, drawn, judge) -> None:
    batch = drawn()
    assert OBJECTIVE.loss(scaled(1.0), batch._replace(noisy=batch.target), 0.0, judge) == 0


def test_the_denoiser_learns_from_the_classifier_which_stays_as_it_was(scaled, drawn, judge) -> None:
    before = {name: tensor.clone() for name, tensor in judge.state_dict().items()}
    alone, judged = scaled(0.5), scaled(0.5)
    OBJECTIVE.loss(alone, drawn(), 0.0, None).backward()
    OBJECTIVE.loss(judged, drawn(), 0.0, judge).backward()
    assert judged.factor.grad != alone.factor.grad
    assert all(parameter.grad is None for parameter in judge.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in judge.state_dict().items())


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        feature.Config(kind="feature", weight=-0.1)
