import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xraydenoise.evaluation.statistics import FEW, bootstrap, units


def clustered(rng: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray]:
    """One to four pictures a patient with true mean 1, alike within a patient: values (N, 1) and patients (N,)."""
    labels = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    return (1 + rng.standard_normal(patients)[labels] + 0.3 * rng.standard_normal(len(labels)))[:, None], labels


def coverage(by_patient: bool) -> float:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        values, labels = clustered(rng, 30)
        found = bootstrap(values, labels if by_patient else np.arange(len(labels)), 400, 0.95, rng)
        hits += int(found.low[0] <= 1 <= found.high[0])
    return hits / 300


def test_an_interval_by_patient_covers_the_true_mean_about_95_times_in_100() -> None:
    assert 0.89 <= coverage(by_patient=True) <= 0.99


def test_an_interval_by_picture_covers_too_seldom_when_pictures_of_a_patient_are_alike() -> None:
    assert coverage(by_patient=False) < 0.87


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
    assert len(np.unique(units(enough))) == FEW
    assert len(np.unique(units(few))) == len(few)
