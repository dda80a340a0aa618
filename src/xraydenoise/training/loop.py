"""The training loop: a plan's optimiser and learning rate on bf16 autocast, averaged weights, and the choice of the best on val."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from xraydenoise import models
from xraydenoise.device import bf16_supported
from xraydenoise.training import Plan, TrainConfig
from xraydenoise.training.batches import Pair
from xraydenoise.training.objectives import Batch, Criterion

BETAS = (0.9, 0.99)  # of AdamW, as the packaged weights were trained; the usual .999 remembers 1000 steps, more than some budgets have
FLOOR = 1e-10  # mean squared error that reads 100 dB, the most that a PSNR says


@dataclass(frozen=True)
class Step:
    """What a step tells; loss and PSNR only where the loop validates, since asking a GPU for a number makes it wait."""

    step: int  # steps done
    learning_rate: float
    loss: float | None = None  # mean since the last validation
    val_target_psnr: float | None = None  # dB against the targets, mean over val pictures, of the averaged weights


@dataclass(eq=False)
class State:
    """All that changes in training: what a checkpoint holds, and what is left when the loop ends."""

    network: nn.Module
    averaged: nn.Module  # the same network with exponentially averaged weights
    optimizer: torch.optim.Optimizer
    best: dict[str, Tensor]  # averaged weights with the best PSNR so far
    loss_sum: Tensor  # since the last validation
    loss_steps: int = 0
    step: int = 0  # done
    best_step: int = 0
    best_val_target_psnr: float = -math.inf
    worse: int = 0  # validations since the best
    seconds: float = 0.0  # of training, all attempts together
    stopped: str = ""  # why it ended: budget, patience or max_minutes
    history: list[Step] = field(default_factory=list)  # validations


def begin(network: nn.Module, device: torch.device, plan: Plan) -> State:
    """The state before the first step, on `device`."""
    network = models.placed(network, device).train()
    averaged = copy.deepcopy(network).eval().requires_grad_(False)
    return State(network, averaged, optimiser(network, plan), copy.deepcopy(averaged.state_dict()), torch.zeros((), device=device))


def optimiser(network: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """The plan's, with a learning rate that the loop sets. Adam and RMSprop have Keras's constants, which the systems here trained by."""
    if plan.optimizer == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=0.0, alpha=0.9, eps=1e-7, weight_decay=plan.weight_decay)
    if plan.optimizer == "adam":
        return torch.optim.Adam(network.parameters(), lr=0.0, eps=1e-7, weight_decay=plan.weight_decay, fused=True)
    return torch.optim.AdamW(network.parameters(), lr=0.0, betas=BETAS, weight_decay=plan.weight_decay, fused=True)


def fit(
    state: State,
    batches: Callable[[int], Batch],
    validation: Sequence[Pair],
    criterion: Criterion,
    plan: Plan,
    config: TrainConfig,
    settled: float = 0.0,
) -> Iterator[Step]:
    """Train `state` in place by `plan`, yielding after each step; the state is then consistent and may be stored, and go on later.

    Where the plan says so, and where it has no step, the weights of `state` are validated before the first one: that is row 0 of the
    history, with the loss of the first batch, and is not yielded. Ends early by patience or max_minutes; `state.stopped` says why. Before
    the share `settled` of the budget, and always where the plan does not choose, val is reported but decides nothing: no patience, and
    the last averaged weights count as the best. Raises ValueError where the warm-up is not shorter than the budget, RuntimeError where
    the loss is not finite.
    """
    if 0 < plan.steps <= plan.warmup:
        raise ValueError(f"train.warmup: {plan.warmup} steps are no fewer than the model's {plan.steps}; use fewer, or train longer")
    device = state.loss_sum.device
    compiled = config.compile == "always" or (config.compile == "auto" and device.type == "cuda")
    forward: nn.Module = torch.compile(state.network) if compiled else state.network  # type: ignore[assignment]
    precision = torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16" and bf16_supported(device))
    started = time.monotonic() - state.seconds

    if (plan.validate_first or not plan.steps) and not state.history:
        with precision, torch.no_grad():
            state.loss_sum += criterion(state.averaged, batches(0), 0.0)
            state.loss_steps = 1
            validated(state, validation, 0.0, plan.choose and settled == 0)
        state.seconds = time.monotonic() - started
        state.stopped = "" if plan.steps else "budget"

    while not state.stopped:
        rate = plan.learning_rate * schedule(state.step, plan)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        with precision:
            loss = criterion(forward, batches(state.step), state.step / plan.steps)
        loss.backward()  # type: ignore[no-untyped-call]
        if plan.max_gradient is not None:
            nn.utils.clip_grad_norm_(state.network.parameters(), plan.max_gradient)
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        average(state.averaged, state.network, plan.ema, state.step)
        state.loss_sum += loss.detach()
        state.loss_steps += 1
        state.step += 1
        state.seconds = time.monotonic() - started

        late = config.max_minutes is not None and state.seconds >= 60 * config.max_minutes
        over = late or state.step >= plan.steps
        told = Step(state.step, rate)
        if over or state.step % config.validate_every == 0:
            with precision:
                choose = plan.choose and (state.step - state.loss_steps) / plan.steps >= settled
                told = validated(state, validation, rate, choose)
        if over or state.worse >= config.patience:
            state.stopped = "budget" if state.step >= plan.steps else "max_minutes" if late else "patience"
        yield told


def schedule(step: int, plan: Plan) -> float:
    """Share of the learning rate at `step`: a linear rise over the warm-up, then all of it, or half a cosine to zero at the last step."""
    if step < plan.warmup:
        return (step + 1) / plan.warmup
    if plan.schedule == "constant":
        return 1.0
    return 0.5 + 0.5 * math.cos(math.pi * (step - plan.warmup) / (plan.steps - plan.warmup))


@torch.no_grad()
def average(averaged: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights, and the running statistics of normalisation, towards the network's; faster in the first steps.

    A decay of 0 copies them.
    """
    share = 1 - min(decay, (1 + step) / (10 + step))
    old, new = averaged.state_dict(), network.state_dict()
    real = [name for name, value in old.items() if value.is_floating_point()]
    torch._foreach_lerp_([old[name] for name in real], [new[name] for name in real], share)
    for name in old.keys() - set(real):  # counters
        old[name].copy_(new[name])


def validated(state: State, validation: Sequence[Pair], rate: float, choose: bool) -> Step:
    """Score the averaged weights, keep them if they are the best so far (or always, unless `choose`), and add a row to the history."""
    loss = float(state.loss_sum) / state.loss_steps
    if not math.isfinite(loss):
        raise RuntimeError(f"step {state.step}: the loss is {loss} at learning rate {rate:g}; use a lower learning_rate, or precision fp32")
    reached = psnr(state.averaged, validation)
    row = Step(state.step, rate, loss, reached)
    state.history.append(row)
    state.loss_sum.zero_()
    state.loss_steps = 0
    state.worse += 1
    if reached > state.best_val_target_psnr or not choose:
        state.best_val_target_psnr, state.best_step, state.worse = reached, row.step, 0
        state.best = copy.deepcopy(state.averaged.state_dict())
    return row


@torch.inference_mode()
def psnr(network: nn.Module, pairs: Sequence[Pair]) -> float:
    """Mean over `pairs` of 10 log10(1 / MSE) in dB, the prediction clipped to [0, 1]."""
    errors = [(network(noisy).float().clamp(0, 1) - target).square().mean() for noisy, target in pairs]
    return float(-10 * torch.stack(errors).double().clamp_min(FLOOR).log10().mean())
