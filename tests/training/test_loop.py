import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from xraydenoise import models
from xraydenoise.models.dncnn import Config as DnCNN
from xraydenoise.noise import evenly
from xraydenoise.noise.gaussian import Config as Gaussian
from xraydenoise.training import TrainConfig, loop, ours
from xraydenoise.training.batches import Batches, Pictures, validation
from xraydenoise.training.objectives import Batch, mse

CPU = torch.device("cpu")
NOISE = Gaussian(kind="gaussian", mean=0.0, sigma=0.1, clip=True)
CRITERION = partial(mse.Config(kind="mse").loss, classifier=None)
NETWORK = DnCNN(kind="dncnn", channels=16, depth=4, unshuffle=2, batch_norm=True)


@pytest.fixture
def state(plan) -> loop.State:
    return loop.begin(models.initialised(NETWORK, 0), CPU, plan(steps=1))


@pytest.fixture
def fit(pictures: Pictures) -> Callable[..., Iterator[loop.Step]]:
    """Training on four of the pictures, chosen on the other two."""

    def fit(state: loop.State, config: TrainConfig, steps: int, rate: float = 3e-3, settled: float = 0.0) -> Iterator[loop.Step]:
        batches = Batches(pictures, evenly([NOISE]), config.batch, config.patch, seed=0)
        return loop.fit(state, batches, validation(pictures, evenly([NOISE]), 0, 2), CRITERION, ours(config, steps, rate), config, settled)

    return fit


def test_the_learning_rate_rises_evenly_then_falls_to_zero(plan) -> None:
    rates = [loop.schedule(step, plan(steps=100, warmup=10)) for step in range(101)]
    assert rates[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)
    assert all(earlier >= later for earlier, later in pairwise(rates[10:]))


def test_a_constant_rate_stays_after_its_warm_up(plan) -> None:
    assert [loop.schedule(step, plan(steps=4, warmup=2, schedule="constant")) for step in range(4)] == [0.5, 1, 1, 1]


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("rmsprop", torch.optim.RMSprop)])
def test_each_optimiser_is_the_one_that_is_named_and_learns(name, kind, pictures, config, plan) -> None:
    how = plan(steps=60, rate=1e-3, optimizer=name, schedule="constant", warmup=0, ema=0.0, max_gradient=None, choose=False)
    state = loop.begin(models.initialised(NETWORK, 0), CPU, how)
    assert type(state.optimizer) is kind
    settings = config(validate_every=20)
    held_out = validation(pictures, evenly([NOISE]), 0, 2)
    before = loop.psnr(state.averaged, held_out)
    drawn = Batches(pictures, evenly([NOISE]), how.batch, how.patch, seed=0)
    list(loop.fit(state, drawn, held_out, CRITERION, how, settings))
    assert state.best_val_target_psnr > before + 1


def test_without_averaging_the_kept_weights_are_the_networks_own_last_ones(state, pictures, config, plan) -> None:
    how = plan(steps=25, ema=0.0, choose=False)
    drawn = Batches(pictures, evenly([NOISE]), how.batch, how.patch, seed=0)
    list(loop.fit(state, drawn, validation(pictures, evenly([NOISE]), 0, 2), CRITERION, how, config(patience=1)))
    assert (state.stopped, state.best_step) == ("budget", 25)
    own = state.network.state_dict()
    assert all(torch.equal(state.best[name], own[name]) for name in own)


def test_a_gradient_is_shortened_only_where_the_plan_says_so(pictures, config, plan) -> None:
    moved = {}
    for limit in (None, 1e-9):
        how = plan(steps=1, rate=1.0, warmup=0, schedule="constant", optimizer="rmsprop", weight_decay=0, max_gradient=limit)
        state = loop.begin(models.initialised(NETWORK, 0), CPU, how)
        drawn = Batches(pictures, evenly([NOISE]), how.batch, how.patch, seed=0)
        before = next(state.network.parameters()).detach().clone()
        list(loop.fit(state, drawn, validation(pictures, evenly([NOISE]), 0, 1), CRITERION, how, config()))
        moved[limit] = float((next(state.network.parameters()).detach() - before).abs().max())
    assert moved[1e-9] < 0.1 * moved[None]  # gradients below RMSprop's epsilon move little


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_learns_to_denoise_pictures_it_has_not_seen(state, fit, config, pictures, precision) -> None:
    untouched = loop.psnr(state.averaged, validation(pictures, evenly([NOISE]), 0, 2))
    steps = list(fit(state, config(precision=precision, validate_every=40), steps=120))
    assert len(steps) == 120
    assert state.best_val_target_psnr > untouched + 3
    assert steps[-1].loss < steps[39].loss


def test_it_tells_loss_and_psnr_where_it_validates_and_after_the_last_step(state, fit, config) -> None:
    steps = list(fit(state, config(), steps=25))
    assert [step.step for step in steps if step.val_target_psnr is not None] == [10, 20, 25]
    assert [step.step for step in steps if step.loss is not None] == [10, 20, 25]
    assert state.history == [step for step in steps if step.loss is not None]
    assert state.stopped == "budget"


def test_the_best_weights_are_those_of_the_best_validation(state, fit, config, pictures) -> None:
    list(fit(state, config(), steps=60))
    best = max(state.history, key=lambda step: step.val_target_psnr)
    assert (state.best_step, state.best_val_target_psnr) == (best.step, best.val_target_psnr)
    state.averaged.load_state_dict(state.best)
    assert loop.psnr(state.averaged, validation(pictures, evenly([NOISE]), 0, 2)) == best.val_target_psnr


def test_training_ends_when_val_has_not_improved_for_long(state, fit, config) -> None:
    state.best_val_target_psnr = 99.0
    steps = list(fit(state, config(patience=2), steps=60))
    assert len(steps) == 20
    assert state.stopped == "patience"


def test_without_choice_val_is_told_but_the_last_averaged_weights_are_kept_and_patience_does_not_end_it(state, fit, config) -> None:
    state.best_val_target_psnr = 99.0
    steps = list(fit(state, config(patience=1), steps=40, settled=math.inf))
    assert [step.step for step in steps if step.val_target_psnr is not None] == [10, 20, 30, 40]
    assert state.stopped == "budget"
    assert (state.best_step, state.best_val_target_psnr) == (40, steps[-1].val_target_psnr)
    last = state.averaged.state_dict()
    assert state.best.keys() == last.keys()
    assert all(torch.equal(state.best[name], last[name]) for name in last)


def test_what_val_said_before_it_may_choose_is_forgotten(state, fit, config) -> None:
    state.best_val_target_psnr = 99.0
    list(fit(state, config(patience=1), steps=40, settled=0.25))
    assert state.best_step > 10  # at 10 the period before .25 ends, and its weights are only the last ones


def test_the_objective_hears_which_share_of_the_budget_is_done(state, pictures, config, plan) -> None:
    heard = []

    def criterion(network: nn.Module, batch: Batch, done: float) -> torch.Tensor:
        heard.append(done)
        return CRITERION(network, batch, done)

    settings = config()
    drawn = Batches(pictures, evenly([NOISE]), settings.batch, settings.patch, seed=0)
    list(loop.fit(state, drawn, validation(pictures, evenly([NOISE]), 0, 1), criterion, plan(steps=8), settings))
    assert heard == [step / 8 for step in range(8)]


def test_a_wall_clock_cap_ends_training_and_still_validates(state, fit, config) -> None:
    steps = list(fit(state, config(max_minutes=1e-9), steps=60))
    assert len(steps) == 1
    assert steps[0].val_target_psnr is not None
    assert state.stopped == "max_minutes"


def test_a_loss_that_is_not_finite_stops_with_step_and_learning_rate(state, fit, config) -> None:
    with torch.no_grad():
        state.network.last.bias.fill_(math.nan)
    with pytest.raises(RuntimeError, match=r"step 10: the loss is nan at learning rate 0\.00"):
        list(fit(state, config(), steps=60))


@pytest.mark.parametrize("steps", [0, 20])
def test_the_weights_that_training_begins_with_are_validated_first_where_the_plan_says_so(steps, state, pictures, config, plan) -> None:
    held_out = validation(pictures, evenly([NOISE]), 0, 2)
    before, start = loop.psnr(state.averaged, held_out), {name: tensor.clone() for name, tensor in state.averaged.state_dict().items()}
    how = plan(steps=steps, rate=3.0, validate_first=True)  # so high that what is learnt is worse
    told = list(loop.fit(state, Batches(pictures, evenly([NOISE]), how.batch, how.patch, seed=0), held_out, CRITERION, how, config()))
    assert [step.step for step in told] == list(range(1, steps + 1))
    assert [row.step for row in state.history] == [0, 10, 20][: 1 + steps // 10]
    assert (state.history[0].val_target_psnr, state.history[0].learning_rate) == (before, 0)
    assert all(row.val_target_psnr < before for row in state.history[1:])
    assert (state.stopped, state.best_step, state.best_val_target_psnr) == ("budget", 0, before)
    assert all(torch.equal(state.best[name], start[name]) for name in start)
    assert state.seconds > 0


def test_validating_first_changes_nothing_that_is_learnt(pictures, config, plan) -> None:
    ends = []
    for first in (False, True):
        how = plan(steps=20, validate_first=first)
        state = loop.begin(models.initialised(NETWORK, 0), CPU, how)
        drawn = Batches(pictures, evenly([NOISE]), how.batch, how.patch, seed=0)
        list(loop.fit(state, drawn, validation(pictures, evenly([NOISE]), 0, 2), CRITERION, how, config()))
        ends.append((state.history[first:], state.averaged.state_dict()))
    assert ends[0][0] == ends[1][0]
    assert all(torch.equal(tensor, ends[1][1][name]) for name, tensor in ends[0][1].items())


def test_where_the_plan_does_not_choose_the_first_weights_are_validated_and_not_kept(state, pictures, config, plan) -> None:
    how = plan(steps=10, rate=3.0, validate_first=True, choose=False)
    list(
        loop.fit(
            state, Batches(pictures, evenly([NOISE]), 4, 16, seed=0), validation(pictures, evenly([NOISE]), 0, 2), CRITERION, how, config()
        )
    )
    assert [row.step for row in state.history] == [0, 10]
    assert state.best_step == 10


def test_a_warm_up_longer_than_the_budget_is_refused(state, fit, config) -> None:
    with pytest.raises(ValueError, match=r"train\.warmup: 60 steps are no fewer than the model's 60"):
        next(fit(state, config(warmup=60), steps=60))


def test_the_average_follows_weights_and_running_statistics_and_starts_fast() -> None:
    network, averaged = (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)) for _ in range(2))
    with torch.no_grad():
        for tensor, value in ((network[0].weight, 1.0), (averaged[0].weight, 0.0), (network[1].running_mean, 4.0)):
            tensor.fill_(value)
    network[1].num_batches_tracked.fill_(9)
    loop.average(averaged, network, decay=0.75, step=1000)
    torch.testing.assert_close(averaged[0].weight, torch.full((2, 1, 3, 3), 0.25))
    torch.testing.assert_close(averaged[1].running_mean, torch.ones(2))
    assert averaged[1].num_batches_tracked == 9
    loop.average(averaged, network, decay=0.99, step=0)
    torch.testing.assert_close(averaged[0].weight, torch.full((2, 1, 3, 3), 0.25 + 0.9 * 0.75))


def test_training_leaves_the_global_generator_alone(state, fit, config) -> None:
    before = torch.get_rng_state()
    list(fit(state, config(), steps=12))
    assert torch.equal(torch.get_rng_state(), before)
