import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from xraydenoise.training.objectives import UNKNOWN, joint

OBJECTIVE = joint.Config(kind="joint", pretrain=0.5, task=0.25)


def test_without_a_classifier_it_is_mse(scaled, drawn) -> None:
    batch = drawn()
    assert OBJECTIVE.loss(scaled(0.5), batch, 0.9, None) == F.mse_loss(0.5 * batch.noisy, batch.target)


def test_the_classifier_is_asked_once_the_denoiser_has_learnt_alone(scaled, drawn, judge) -> None:
    alone = OBJECTIVE.loss(scaled(0.5), drawn(), 0.0, None)
    assert OBJECTIVE.loss(scaled(0.5), drawn(), 0.499, judge) == alone
    assert OBJECTIVE.loss(scaled(0.5), drawn(), 0.5, judge) > alone


def test_the_cross_entropy_of_the_labels_is_added(scaled, drawn, judge) -> None:
    batch = drawn()
    chances = judge(0.5 * batch.noisy).log_softmax(dim=1)
    entropy = -(chances[0, 0] + chances[1, 1]) / 2
    loss = OBJECTIVE.loss(scaled(0.5), batch, 1.0, judge)
    torch.testing.assert_close(loss, F.mse_loss(0.5 * batch.noisy, batch.target) + 0.25 * entropy)


def test_a_crop_without_a_label_counts_by_its_mse_alone(scaled, drawn, judge) -> None:
    batch, network = drawn(), scaled(0.5)
    alone = OBJECTIVE.loss(network, batch, 1.0, None)
    unknown = batch._replace(label=torch.tensor([UNKNOWN, UNKNOWN]))
    assert OBJECTIVE.loss(network, unknown, 1.0, judge) == alone
    added = [
        OBJECTIVE.loss(network, batch._replace(label=torch.tensor(labels)), 1.0, judge) - alone
        for labels in ([0, UNKNOWN], [UNKNOWN, 1], [0, 1])
    ]
    torch.testing.assert_close(added[0] + added[1], added[2])


def test_the_denoiser_learns_from_the_classifier_which_stays_as_it_was(scaled, drawn, judge) -> None:
    before = {name: tensor.clone() for name, tensor in judge.state_dict().items()}
    alone, judged = scaled(0.5), scaled(0.5)
    OBJECTIVE.loss(alone, drawn(), 1.0, None).backward()
    OBJECTIVE.loss(judged, drawn(), 1.0, judge).backward()
    assert judged.factor.grad != alone.factor.grad
    assert all(parameter.grad is None for parameter in judge.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in judge.state_dict().items())


@pytest.mark.parametrize("entry", [{"pretrain": 1.0, "task": 0.1}, {"pretrain": 0.5, "task": -0.1}])
def test_a_classifier_that_is_never_asked_and_a_negative_weight_are_refused(entry) -> None:
    with pytest.raises(ValueError, match=r"less than 1|greater than or equal to 0"):
        joint.Config(kind="joint", **entry)
