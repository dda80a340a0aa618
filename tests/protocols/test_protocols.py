import math
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from xraydenoise import contracts, params, protocols
from xraydenoise.noise import evenly

ROOT = Path(__file__).parents[2]
LETTERS = get_args(protocols.Letter)
CHECKED = params.load(ROOT / "params.yaml")
LEARNER = {
    "protocol": "c",
    "track": "noise",
    "conditions": "all",
    "each": True,
    "objective": {"kind": "mse"},
    "steps": 300,
    "learning_rate": 0.001,
    "network": {"kind": "autoencoder", "channels": [16, 8]},
}


@pytest.mark.parametrize("letter", LETTERS)
def test_every_protocol_has_an_entry_in_the_sample_profile_and_names_what_it_ran_on(letter: str) -> None:
    protocol = protocols.load(letter)
    assert any(learner.protocol == letter for learner in CHECKED.protocols.values())
    assert protocol.title.startswith(letter.upper())
    assert protocol.published_on


@pytest.mark.parametrize("letter", LETTERS)
def test_a_protocol_after_enhancement_says_where_its_noise_joins_and_others_have_no_such_place(letter: str) -> None:
    protocol = protocols.load(letter)
    assert (protocol.position is not None) == (protocol.track == "enhanced")


@pytest.mark.parametrize("letter", LETTERS)
def test_published_figures_are_of_conditions_and_metrics_that_the_protocol_has(letter: str) -> None:
    protocol = protocols.load(letter)
    for _, condition, metric in protocol.published:
        assert condition in protocol.conditions
        assert metric in protocol.metrics


@pytest.mark.parametrize("letter", LETTERS)
def test_every_method_with_a_published_figure_is_reproduced(letter: str) -> None:
    made = {protocols.method(name, learner) for name, learner in CHECKED.protocols.items() if learner.protocol == letter}
    assert {method for method, _, _ in protocols.load(letter).published} <= made | {"noisy", protocols.MEDIAN}


@pytest.mark.parametrize("letter", LETTERS)
def test_every_metric_is_best_for_the_target_itself(letter: str) -> None:
    rng = np.random.default_rng(0)
    target = rng.random((32, 32)).astype(np.float32)
    noisy = np.clip(target + rng.normal(0, 0.2, target.shape), 0, 1).astype(np.float32)
    for name, metric in protocols.load(letter).metrics.items():
        same, worse = (metric.pooled(np.array([metric.measure(shown, target)])) for shown in (target, noisy))
        assert (same < worse) if name in ("MSE", "BCE above floor") else (same > worse), name


def test_the_cross_entropy_above_its_floor_is_the_divergence_of_the_two_pictures() -> None:
    target, prediction = np.full((8, 8), 0.25, np.float32), np.full((8, 8), 0.5, np.float32)
    divergence = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert protocols.load("b").metrics["BCE above floor"].measure(prediction, target) == pytest.approx(divergence)


def test_the_seven_rows_of_system_c_are_the_published_ones() -> None:
    protocol = protocols.load("c")
    assert len(protocol.conditions) == 7
    assert protocol.published["autoencoder", "f.2_poisson_5", "SSIM"] == 0.6118
    hard = protocol.conditions["f.2_gaussian_1_2"]
    assert (hard.mean, hard.sigma, hard.clip) == (0.2, 0.4, True)


def scores() -> pd.DataFrame:
    rows = [("noisy", 0.4), ("autoencoder", 0.8), ("median_3x3", 0.7)]
    return pd.DataFrame(
        {"method": method, "condition": condition, "image": image, "patient": image, "metric": metric, "value": value + shift}
        for metric in ("PSNR, dB", "SSIM")
        for condition in ("f.2_poisson_1", "f.1_gaussian_0_1")
        for method, value in rows
        for image, shift in (("one", 0.0), ("two", 0.1))
    )


def test_a_summary_is_the_mean_over_pictures_in_the_protocols_order_beside_the_published(tmp_path: Path) -> None:
    means = protocols.summary(scores(), protocols.load("c"))
    contracts.write(means, tmp_path / "c.csv", contracts.ProtocolTable)
    assert list(means["metric"].unique()) == ["SSIM", "PSNR, dB"]
    assert list(means["condition"].unique()) == ["f.1_gaussian_0_1", "f.2_poisson_1"]
    row = means[(means["metric"] == "SSIM") & (means["condition"] == "f.1_gaussian_0_1") & (means["method"] == "autoencoder")].iloc[0]
    assert (row["mean"], row["published"]) == (pytest.approx(0.85), 0.8825)


def test_a_metric_may_pool_its_pictures_in_the_order_of_their_ids() -> None:
    errors = {f"{number:02}": 0.01 if number < 8 else 0.1 for number in range(9)}
    rows = pd.DataFrame(
        {"method": "eudncnn", "condition": "system_a", "image": image, "patient": "one", "metric": "own PSNR, dB", "value": error}
        for image, error in sorted(errors.items(), reverse=True)
    )
    means = protocols.summary(rows, protocols.load("a"))
    assert means["mean"].tolist() == pytest.approx([(20 + 10) / 2])  # a batch of eight, and one of one


def test_a_table_shows_the_published_figure_in_brackets_and_nothing_where_there_is_none() -> None:
    means = protocols.summary(scores(), protocols.load("c"))
    shown = protocols.table(means, "SSIM").set_index("method")
    assert shown.loc["noisy", "f.1_gaussian_0_1"] == "0.4500 (0.4299)"
    assert protocols.table(means, "PSNR, dB").set_index("method").loc["noisy", "f.2_poisson_1"] == "0.4500"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"track": "enhanced"}, r"track: protocol c is of track noise, found 'enhanced'"),
        ({"conditions": ["easy"]}, r"conditions: protocol c has no easy; expected some of"),
        ({"objective": {"kind": "elbo"}}, r"objective: elbo takes kind vae"),
        ({"steps": 10}, r"steps: must be more than train\.warmup, 50, found 10"),
        ({"protocol": "e", "each": False}, r"conditions: easy, .*, sigma_25 are clipped in part"),
    ],
)
def test_an_entry_that_does_not_fit_its_protocol_is_refused_with_the_reason(change: dict[str, object], said: str) -> None:
    learner = protocols.Learner.model_validate(LEARNER | change)
    with pytest.raises(ValueError, match=said):
        learner.check_protocol(CHECKED.train)


def test_crops_are_no_larger_than_the_protocols_pictures() -> None:
    learner = protocols.Learner.model_validate(LEARNER)
    sizes = {patch: learner.plan(CHECKED.train.model_copy(update={"patch": patch})).patch for patch in (64, 160)}
    assert sizes == {64: 64, 160: 128}


PUBLISHED = {key: value for key, value in LEARNER.items() if key not in ("steps", "learning_rate")} | {"recipe": "published"}
UNET = {"kind": "unet", "channels": [8, 16], "bottleneck": 16, "unshuffle": 1, "residual": False, "batch_norm": False}
DENTAL = {"protocol": "b", "network": UNET, "objective": {"kind": "bce"}}


def test_the_published_recipe_is_the_authors_and_takes_nothing_of_ours() -> None:
    plan = protocols.Learner.model_validate(PUBLISHED).plan(CHECKED.train)
    assert (plan.optimizer, plan.learning_rate, plan.schedule, plan.batch, plan.patch) == ("adam", 0.001, "constant", 64, 128)
    assert plan.steps == 3000  # 150 epochs of 320 pictures, each five times, less a fifth, in batches of 64
    assert (plan.warmup, plan.weight_decay, plan.ema, plan.max_gradient, plan.choose) == (0, 0, 0, None, False)


def test_where_the_authors_number_of_updates_is_not_known_the_entry_names_it() -> None:
    plan = protocols.Learner.model_validate(PUBLISHED | DENTAL | {"steps": 70}).plan(CHECKED.train)
    assert (plan.optimizer, plan.batch, plan.patch, plan.steps) == ("adam", 10, 64, 70)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": None}, r"name steps and learning_rate, or recipe: published"),
        ({"learning_rate": 0.01}, r"learning_rate: published is 0\.001; leave it out"),
        ({"steps": 10}, r"steps: published are 3000 \(Adam 0\.001, .* 3,000 steps\); leave steps out"),
        ({"objective": {"kind": "l1"}}, r"objective: published is mse, found l1"),
        (DENTAL, r"steps: how many the authors took is not known \(Adam 0\.001, .*\); name them"),
        (
            {"protocol": "a", "track": "enhanced", "network": {"kind": "eudncnn", "channels": 8, "depth": 4}},
            r"recipe: of eudncnn in protocol a too little is known to train it as published \(Adam 0\.001, a tenth of it every 7 epochs",
        ),
        ({"network": UNET}, r"recipe: of unet in protocol c too little is known to train it as published \(nothing\)"),
    ],
)
def test_an_entry_that_is_neither_ours_nor_published_is_refused_with_what_is_known(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        protocols.Learner.model_validate(PUBLISHED | change)


def test_every_published_training_is_one_that_the_loop_can_run() -> None:
    for letter in LETTERS:
        for kind, known in protocols.load(letter).networks.items():
            assert known.told, kind
            if known.training:
                assert known.training.plan(known.training.steps or 1, 64).told().endswith("constant rate, last weights")


def test_one_network_a_condition_or_one_over_all() -> None:
    each = protocols.Learner.model_validate(LEARNER).mixtures()
    assert len(each) == 7
    assert each["f.2_poisson_1"] == ["f.2_poisson_1"]
    together = protocols.Learner.model_validate(LEARNER | {"each": False}).mixtures()
    assert list(together) == ["all"]
    assert len(together["all"]) == 7


@pytest.mark.parametrize(("one", "other"), [("c_noisy", "c_dncnn"), ("dncnn", "c_dncnn")])
def test_two_methods_of_one_name_in_a_protocol_are_refused(one: str, other: str) -> None:
    learner = protocols.Learner.model_validate(LEARNER)
    with pytest.raises(ValueError, match=rf"protocols\.({one}|{other}): protocol c has another method"):
        protocols.check_names({one: learner, other: learner})


@pytest.mark.parametrize("conditions", [[], ["f.2_poisson_1", "f.2_poisson_1"], "some", 3])
def test_conditions_that_are_no_list_of_different_names_are_refused_in_one_line(conditions: object) -> None:
    with pytest.raises(ValidationError, match="expected all, or a list of conditions, each named once") as error:
        protocols.Learner.model_validate(LEARNER | {"conditions": conditions})
    assert error.value.error_count() == 1


def test_an_objective_without_a_target_is_refused_where_labels_are_the_target() -> None:
    entry = {"protocol": "a", "track": "enhanced", "objective": {"kind": "neighbor2neighbor", "weight": 1.0}}
    noise = protocols.noises({"white": {"kind": "gaussian", "mean": 0.0, "sigma": 0.1, "clip": True}})["white"]
    with pytest.raises(ValueError, match="objective: neighbor2neighbor looks at no target, but models of track enhanced learn labels"):
        protocols.Learner.model_validate(LEARNER | entry).check(evenly([noise]), CHECKED.train)
