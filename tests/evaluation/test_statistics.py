import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from xraydenoise.evaluation import statistics
from xraydenoise.evaluation.statistics import FEW, bootstrap, enough_draws, holm, sign_flips, smallest_p, too_few, units


def clustered(rng: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray]:
    """One to four pictures a patient with true mean 1, alike within a patient: values (N, 1) and patients (N,)."""
    labels = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    return (1 + rng.standard_normal(patients)[labels] + 0.3 * rng.standard_normal(len(labels)))[:, None], labels


def coverage(patients: int, by_patient: bool = True) -> float:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(600):
        values, labels = clustered(rng, patients)
        found = bootstrap(values, labels if by_patient else np.arange(len(labels)), 500, 0.95, rng)
        hits += int(found.low[0] <= 1 <= found.high[0])
    return hits / 600


@pytest.mark.parametrize(("patients", "least", "most"), [(6, 0.89, 0.97), (12, 0.915, 0.98), (40, 0.925, 0.975)])
def test_an_interval_by_patient_covers_the_true_mean_about_95_times_in_100(patients: int, least: float, most: float) -> None:
    assert least <= coverage(patients) <= most  # 600 simulations: .95 is known to .009


def test_an_interval_by_picture_covers_too_seldom_when_pictures_of_a_patient_are_alike() -> None:
    assert coverage(30, by_patient=False) < 0.87


def test_memory_does_not_grow_with_resamples_times_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    values, labels = clustered(np.random.default_rng(0), 50)
    whole = bootstrap(values, labels, 300, 0.95, np.random.default_rng(1)), sign_flips(values - 1, labels, 300, np.random.default_rng(1))
    monkeypatch.setattr(statistics, "BATCH", 700)
    parts = bootstrap(values, labels, 300, 0.95, np.random.default_rng(1)), sign_flips(values - 1, labels, 300, np.random.default_rng(1))
    np.testing.assert_allclose(parts[0], whole[0])
    np.testing.assert_array_equal(parts[1], whole[1])


def test_a_patient_weighs_by_its_pictures() -> None:
    values, labels = np.array([[0.0], [0.0], [0.0], [4.0]]), np.array(["a", "a", "a", "b"])
    found = bootstrap(values, labels, 2000, 0.5, np.random.default_rng(0))
    assert found.mean == pytest.approx(1.0)
    assert found.low == pytest.approx(0.0)  # a drawn twice, a quarter of the draws
    assert bootstrap(values, labels, 2000, 0.9, np.random.default_rng(0)).high == pytest.approx(4.0)  # b drawn twice


@given(st.integers(1, 12), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_the_interval_lies_within_the_values_and_shifts_with_them(patients: int, seed: int) -> None:
    values, labels = clustered(np.random.default_rng(seed), patients)
    found = bootstrap(np.hstack([values, values + 5]), labels, 200, 0.9, np.random.default_rng(seed))
    assert values.min() - 1e-9 <= found.low[0] <= found.high[0] <= values.max() + 1e-9
    assert np.allclose([found.mean[1], found.low[1], found.high[1]], np.array([found.mean[0], found.low[0], found.high[0]]) + 5)


def test_the_same_generator_gives_the_same_interval() -> None:
    values, labels = clustered(np.random.default_rng(0), 8)
    first, second = (bootstrap(values, labels, 200, 0.95, np.random.default_rng(5)) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_more_confidence_is_wider() -> None:
    values, labels = clustered(np.random.default_rng(0), 20)
    narrow, wide = (bootstrap(values, labels, 2000, level, np.random.default_rng(0)) for level in (0.6, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_a_single_picture_gives_a_point() -> None:
    assert [list(part) for part in bootstrap(np.array([[2.0]]), np.array(["p"]), 100, 0.95, np.random.default_rng(0))] == [[2.0]] * 3


def test_no_picture_is_an_error() -> None:
    with pytest.raises(ValueError, match="no picture"):
        bootstrap(np.empty((0, 1)), np.empty(0), 100, 0.95, np.random.default_rng(0))


def test_patients_are_resampled_where_there_are_enough_and_pictures_where_not() -> None:
    enough, few = np.repeat([f"p{i}" for i in range(FEW)], 2), np.repeat([f"p{i}" for i in range(FEW - 1)], 2)
    images = np.array([f"image{number}" for number in range(2 * FEW)])
    assert len(np.unique(units(enough, images))) == FEW
    assert len(np.unique(units(few, images[: len(few)]))) == len(few)


def test_the_presets_of_one_enhanced_picture_are_one_unit_where_patients_are_few() -> None:
    images = np.array([f"{picture}-{preset}" for picture in ("a", "b") for preset in range(13)])
    assert units(np.repeat("p", 26), images).tolist() == [0] * 13 + [1] * 13


def null_p(patients: int, draws: int, simulations: int = 500) -> np.ndarray:
    """p of differences that have no mean but are alike within a patient."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(simulations):
        values, labels = clustered(rng, patients)
        found.append(sign_flips(values - 1, labels, draws, rng)[0])
    return np.array(found)


def test_p_is_uniform_where_two_methods_are_alike() -> None:
    assert kstest(null_p(30, 400), "uniform").pvalue > 0.01


def test_exact_p_takes_each_of_its_values_equally_often_where_two_methods_are_alike() -> None:
    p = null_p(4, 10_000)
    assert set(np.unique(p)) == {number / 8 for number in range(1, 9)}
    assert chisquare(np.unique(p, return_counts=True)[1]).pvalue > 0.01


def test_flipping_pictures_instead_of_patients_would_find_what_is_not_there() -> None:
    rng = np.random.default_rng(7)
    drawn = [clustered(rng, 30)[0] - 1 for _ in range(300)]
    assert np.mean([sign_flips(values, np.arange(len(values)), 200, rng)[0] <= 0.05 for values in drawn]) > 0.1


def test_exact_p_by_hand_weighs_a_patient_by_its_pictures() -> None:
    values, labels = np.array([[1.0], [1.0], [2.0], [-1.0]]), np.array(["a", "a", "b", "c"])
    # The patients' sums are 2, 2 and -1; of the eight flips, those that add up to 3, 5, -3 and -5 reach 3 = 2 + 2 - 1
    assert sign_flips(values, labels, 100, np.random.default_rng(0)) == pytest.approx(4 / 8)


@pytest.mark.parametrize("patients", range(1, 8))
def test_p_of_few_patients_can_not_be_small_however_large_the_difference(patients: int) -> None:
    values, labels = np.full((3 * patients, 1), 1e6), np.repeat(np.arange(patients), 3)
    assert sign_flips(values, labels, 10_000, np.random.default_rng(0))[0] == smallest_p(patients)
    assert smallest_p(3) == 0.25


@pytest.mark.parametrize(("patients", "tests", "few"), [(1, 1, True), (5, 1, True), (6, 1, False), (6, 2, True), (60, 1000, False)])
def test_patients_are_too_few_where_not_even_the_smallest_p_survives_holm(patients: int, tests: int, few: bool) -> None:
    assert too_few(patients, tests, 0.95) is few
    assert bool(holm(np.full(tests, smallest_p(patients))).min() > 0.05) is few


def test_random_flips_agree_with_all_flips_and_never_give_0() -> None:
    values, labels = clustered(np.random.default_rng(5), 12)
    values = np.hstack([values - 0.2, values + 99])
    every = sign_flips(values, labels, 2**12, np.random.default_rng(0))
    some = sign_flips(values, labels, 2**12 - 1, np.random.default_rng(0))
    assert 0.01 < every[0] < 0.5
    assert some[0] == pytest.approx(every[0], abs=0.03)
    assert every[1] == smallest_p(12)
    assert some[1] >= 1 / 2**12


def test_methods_without_any_difference_have_p_1() -> None:
    assert list(sign_flips(np.zeros((60, 2)), np.arange(60), 100, np.random.default_rng(0))) == [1, 1]


@given(st.integers(0, 2**31), st.integers(2, 25), st.floats(0, 3))
@settings(max_examples=30, deadline=None)
def test_a_larger_gain_never_has_a_larger_p_and_a_sign_changes_nothing(seed: int, patients: int, more: float) -> None:
    values, labels = clustered(np.random.default_rng(seed), patients)
    values = values - values.mean() + 0.2
    p = sign_flips(np.hstack([values, values + more, -values]), labels, 1000, np.random.default_rng(seed))
    assert p[1] <= p[0]
    assert p[2] == p[0]


def test_holm_agrees_with_values_by_hand() -> None:
    # 4 x .01, max(.04, 3 x .015), max(.045, 2 x .02), max(.045, 1 x .9), as statsmodels' multipletests(method="holm") gives
    np.testing.assert_allclose(holm(np.array([0.9, 0.01, 0.02, 0.015])), [0.9, 0.04, 0.045, 0.045])
    np.testing.assert_allclose(holm(np.array([[0.6, 0.5], [0.04, 0.4]])), [[1, 1], [0.16, 1]])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    raw, adjusted = np.array(p), holm(np.array(p))
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(1, len(p) * raw) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= 0).all()


def test_holm_keeps_false_alarms_of_a_whole_family_within_alpha() -> None:
    rng = np.random.default_rng(2)
    alarms = [holm(rng.random(20)).min() <= 0.05 for _ in range(2000)]
    assert 0.035 < np.mean(alarms) < 0.065


def test_random_flips_are_enough_for_holm_to_reject_in_a_large_family() -> None:
    draws = enough_draws(10_000, 1225, 0.95)
    assert holm(np.full(1225, 1 / (draws + 1))).max() < 0.05
    assert enough_draws(10_000, 4, 0.95) == 10_000
