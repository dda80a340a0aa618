import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from xraydenoise.evaluation import detectability
from xraydenoise.evaluation.detectability import CHANNELS, Disc, NoPlaceError

DISC = Disc(radius=6, contrast=0.03, blur=1)
SIDE = 96
SIGMA = 0.1


def body(seed: int = 0, shape: tuple[int, int] = (160, 140)) -> np.ndarray:
    """A picture with a black border, structure everywhere, and one smooth place around row 100, column 60."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    calm = 1 - np.exp(-((rows - 100) ** 2 + (columns - 60) ** 2) / (2 * 25**2))
    structure = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal(shape), (0, 0), 3)
    picture = 0.5 + 0.05 * calm * structure / structure.std()
    picture[:10] = 0
    return picture.astype(np.float32)


def draw(region: np.ndarray, number: int) -> np.ndarray:
    return region + SIGMA * np.random.default_rng([3, number]).standard_normal(region.shape)


def outputs(
    rng: np.random.Generator, pictures: int, draws: int, signal: np.ndarray, root: np.ndarray, background: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian channel outputs (N, K, C) with covariance root root^T around backgrounds that differ from picture to picture."""
    noise = rng.standard_normal((2, pictures, draws, len(signal))) @ root.T
    base = background * rng.standard_normal((pictures, 1, len(signal)))
    return base + signal + noise[0], base + noise[1]


def estimate(present: np.ndarray, absent: np.ndarray) -> float:
    return detectability.dprime(present, absent)


def profile(side: int = SIDE) -> np.ndarray:
    gray = np.full((side, side), 0.5)
    return detectability.insert(gray, side // 2, side // 2, DISC) - gray


def test_an_inserted_disc_has_its_contrast_its_radius_and_nothing_beyond() -> None:
    disc = profile()
    assert disc[48, 48] == pytest.approx(0.03)
    assert disc[48, 54] == pytest.approx(0.015)
    assert disc[48, 48 + 13] == 0
    np.testing.assert_allclose(disc[1:], disc[1:][::-1])
    np.testing.assert_allclose(disc, disc.T)
    assert disc.sum() == pytest.approx(0.03 * np.pi * (6**2 + 1**2), rel=0.01)  # of a disc with such an edge: pi (radius^2 + blur^2)


def test_a_disc_that_leaves_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match=r"contrast 0.03 at \(20, 20\) leaves \[0, 1\]"):
        detectability.insert(np.full((40, 40), 0.98), 20, 20, DISC)


@pytest.mark.parametrize("entry", [{"blur": 1.6}, {"blur": 0}, {"radius": 0}, {"contrast": 0.6}, {"colour": 1}])
def test_a_disc_that_is_none_is_refused(entry: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Disc.model_validate(DISC.model_dump() | entry)


def test_the_disc_is_placed_where_the_body_is_smooth() -> None:
    row, column = detectability.place(body(), DISC, SIDE)
    assert np.hypot(row - 100, column - 60) < 12
    assert (row, column) == detectability.place(body(), DISC, SIDE)


@given(st.integers(0, 2**31), st.floats(-0.1, 0.1), st.integers(96, 130), st.integers(96, 130), st.sampled_from([95, 96]))
@settings(max_examples=15, deadline=None)
def test_where_the_disc_is_placed_it_can_be_inserted_in_a_whole_region(
    seed: int, contrast: float, height: int, width: int, side: int
) -> None:
    disc = Disc(radius=5, contrast=contrast, blur=1)
    picture = cv2.GaussianBlur(np.random.default_rng(seed).random((height, width), dtype=np.float32), (0, 0), 2)
    picture[40:60, :20], picture[:30, 40:60] = 0, 1
    row, column = detectability.place(picture, disc, side)
    region = picture[row - side // 2 :, column - side // 2 :][:side, :side]
    assert row >= side // 2
    assert column >= side // 2
    assert region.shape == (side, side)
    changed = detectability.insert(region, side // 2, side // 2, disc)
    assert changed[side // 2, side // 2] == pytest.approx(region[side // 2, side // 2] + contrast, abs=1e-6)


@pytest.mark.parametrize(
    "picture",
    [
        np.full((120, 120), 0.5, np.float32),  # paint
        np.zeros((120, 120), np.float32),
        body(shape=(120, 120)) * 0.3,  # air
        np.where(np.indices((120, 120)).sum(axis=0) % 9 == 0, 1, body(shape=(120, 120))),  # saturated
    ],
    ids=["flat", "black", "air", "saturated"],
)
def test_a_picture_without_a_place_tells_why(picture: np.ndarray) -> None:
    with pytest.raises(NoPlaceError, match=r"no square of 25x25 px with a mean of 0\.3 to 0\.8"):
        detectability.place(picture, DISC, SIDE)


def test_a_picture_smaller_than_the_region_tells_why() -> None:
    with pytest.raises(NoPlaceError, match="95x200 px holds no region of 96x96"):
        detectability.place(body(shape=(95, 200)), DISC, SIDE)


@pytest.mark.parametrize("side", [95, 96])
def test_the_channels_are_orthonormal_and_hold_the_disc(side: int) -> None:
    bank = detectability.channels(side, 2 * DISC.radius)
    assert bank.shape == (side * side, CHANNELS)
    np.testing.assert_allclose(bank.T @ bank, np.eye(CHANNELS), atol=1e-6)
    disc = profile(side).ravel()
    assert np.square(disc @ bank).sum() > 0.975 * np.square(disc).sum()


def test_white_noise_and_a_known_signal_have_the_closed_form_where_the_channels_span_the_signal() -> None:
    rng = np.random.default_rng(0)
    signal = profile(48).ravel()
    spanning = np.stack([signal, *rng.standard_normal((2, signal.size))], axis=1)
    absent, present = (SIGMA * rng.standard_normal((20, 50, signal.size)) for _ in range(2))
    expected = np.sqrt(signal @ signal) / SIGMA
    assert estimate((present + signal) @ spanning, absent @ spanning) == pytest.approx(expected, rel=0.05)


def test_the_examined_disc_has_the_detectability_and_the_contrast_to_noise_of_white_noise() -> None:
    found = [detectability.examine(np.copy, lambda region, k, n=n: draw(region, 1000 * n + k), body(n), 40, DISC, SIDE) for n in range(12)]
    disc = profile().ravel()
    known = detectability.channels(SIDE, 2 * DISC.radius).T @ disc
    assert estimate(*(np.stack(part) for part in zip(*((one.present, one.absent) for one in found), strict=True))) == pytest.approx(
        np.sqrt(known @ known) / SIGMA, rel=0.06
    )
    within = np.hypot(*np.indices((SIDE, SIDE)) - 48).ravel() <= DISC.radius
    assert np.mean([one.cnr for one in found]) == pytest.approx(disc[within].mean() / SIGMA, rel=0.06)


def filtered(sigma: float) -> tuple[float, float]:
    """d' and contrast-to-noise of the disc in white noise after a Gaussian filter."""

    def smooth(noisy: np.ndarray) -> np.ndarray:
        return np.stack([cv2.GaussianBlur(one, (0, 0), sigma) for one in noisy])

    found = [detectability.examine(smooth, lambda region, k, n=n: draw(region, 1000 * n + k), body(n), 40, DISC, SIDE) for n in range(8)]
    present, absent = np.stack([one.present for one in found]), np.stack([one.absent for one in found])
    return estimate(present, absent), float(np.mean([one.cnr for one in found]))


def test_no_linear_filter_makes_the_disc_more_detectable_than_the_ideal_observer_finds_it() -> None:
    ideal = np.linalg.norm(profile()) / SIGMA
    detected, contrasts = zip(*(filtered(sigma) for sigma in (0.5, 2.0, 4.0)), strict=True)
    assert max(detected) < 1.07 * ideal  # 320 draws of each leave 3 %
    assert contrasts[1] > 3 * contrasts[0]  # while contrast-to-noise is taken in by smoothing


@pytest.mark.parametrize(("pictures", "draws"), [(1, 12), (5, 4), (3, 8)])
@pytest.mark.parametrize("truth", [0.5, 2.0])
def test_few_draws_do_not_make_it_read_high(pictures: int, draws: int, truth: float) -> None:
    rng = np.random.default_rng(1)
    root = rng.standard_normal((4, 4)) + 2 * np.eye(4)
    signal = root @ np.array([truth, 0, 0, 0])  # whitened it is `truth` long
    unbiased, naive = [], []
    for _ in range(3000):
        present, absent = outputs(rng, pictures, draws, signal, root)
        difference = (present - absent).mean(axis=(0, 1))
        within = np.concatenate([present - present.mean(axis=1, keepdims=True), absent - absent.mean(axis=1, keepdims=True)])
        freedom = 2 * pictures * (draws - 1)
        covariance = np.einsum("nki,nkj->ij", within, within) / freedom
        naive.append(difference @ np.linalg.inv(covariance) @ difference)
        unbiased.append(freedom_corrected(naive[-1], freedom, pictures * draws))
        assert estimate(present, absent) == pytest.approx(np.sqrt(max(unbiased[-1], 0)), rel=1e-4, abs=1e-4)
    assert np.mean(unbiased) == pytest.approx(truth**2, abs=4 * np.std(unbiased) / np.sqrt(3000))
    assert np.mean(naive) > truth**2 + 8 * np.std(naive) / np.sqrt(3000)


def freedom_corrected(squared: float, freedom: int, draws: int) -> float:
    return (freedom - 4 - 1) / freedom * squared - 2 * 4 / draws


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_backgrounds_units_and_mixed_channels_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    present, absent = outputs(rng, 6, 10, np.array([2.0, 0.5, 0]), np.eye(3))
    expected = estimate(present, absent)
    base = 100 * rng.standard_normal((6, 1, 3))
    assert estimate(present + base, absent + base) == pytest.approx(expected)
    mixed = rng.standard_normal((3, 3)) + 3 * np.eye(3)
    assert estimate(present @ mixed, absent @ mixed) == pytest.approx(expected, rel=1e-5)
    assert estimate(absent, present) == pytest.approx(expected)


@pytest.mark.parametrize("patients", [5, 8, 35])
@pytest.mark.parametrize("truth", [0.0, 0.3, 1.0])
def test_an_interval_covers_the_truth_also_of_faint_discs(patients: int, truth: float) -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(400):
        signal = np.array([truth, 0, 0, 0, 0]) + 0.3 * rng.standard_normal((patients, 1, 5))  # another in every picture
        present, absent = (rng.standard_normal((patients, 12, 5)) + mean for mean in (signal, 0))
        low, high = detectability.interval(present, absent, np.arange(patients), 0.95)
        assert low <= detectability.dprime(present, absent) <= high
        hits += low <= truth <= high
    assert hits / 400 >= 0.92  # 400 simulations: .95 is known to .011


def test_an_interval_covers_the_truth_when_patients_have_several_pictures_that_are_alike() -> None:
    rng = np.random.default_rng(3)
    hits = {"patients": 0, "pictures": 0}
    for _ in range(300):
        labels = np.repeat(np.arange(12), rng.integers(1, 7, 12))
        signal = np.array([1.0, 0, 0]) + 0.5 * rng.standard_normal((12, 1, 3))
        present, absent = (rng.standard_normal((len(labels), 12, 3)) + mean for mean in (signal[labels], 0))
        for kind, units in (("patients", labels), ("pictures", np.arange(len(labels)))):
            low, high = detectability.interval(present, absent, units, 0.95)
            hits[kind] += low <= 1 <= high
    assert hits["patients"] / 300 >= 0.9
    assert hits["pictures"] / 300 < 0.87


def test_pictures_of_one_group_have_no_interval() -> None:
    present, absent = outputs(np.random.default_rng(0), 3, 20, np.array([1.0, 1.0]), np.eye(2))
    with pytest.raises(ValueError, match="3 pictures of one group have no interval"):
        detectability.interval(present, absent, np.zeros(3), 0.95)


def test_a_method_that_wipes_the_disc_out_detects_nothing_and_has_no_contrast() -> None:
    found = detectability.examine(lambda noisy: np.full_like(noisy, 0.5), draw, body(), 8, DISC, SIDE)
    assert found.cnr == 0
    assert estimate(found.present[None], found.absent[None]) == 0


def test_a_method_without_noise_has_finite_numbers() -> None:
    picture = body()
    found = detectability.examine(np.copy, lambda region, _: region, picture, 8, DISC, SIDE)
    assert 0 < found.cnr < np.inf
    assert 0 < estimate(found.present[None], found.absent[None]) < np.inf


def test_a_dark_disc_has_a_negative_contrast_and_the_same_detectability() -> None:
    dark = DISC.model_copy(update={"contrast": -0.03})
    found = [detectability.examine(np.copy, draw, body(), 40, disc, SIDE) for disc in (DISC, dark)]
    assert found[1].cnr == pytest.approx(-found[0].cnr, rel=0.2)
    assert estimate(found[1].present[None], found[1].absent[None]) == pytest.approx(
        estimate(found[0].present[None], found[0].absent[None]), rel=0.3
    )


def test_draws_with_and_without_the_disc_share_no_noise() -> None:
    asked: list[int] = []

    def noted(region: np.ndarray, number: int) -> np.ndarray:
        asked.append(number)
        return draw(region, number)

    detectability.examine(np.copy, noted, body(), 5, DISC, SIDE)
    assert asked == list(range(10))


def test_too_few_draws_for_the_channels_are_refused() -> None:
    present, absent = outputs(np.random.default_rng(0), 1, 4, np.zeros(5), np.eye(5))
    with pytest.raises(ValueError, match="4 draws of 1 pictures are too few for 5 channels"):
        estimate(present, absent)


def test_a_prediction_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the same"):
        detectability.examine(lambda noisy: noisy[:, 1:], draw, body(), 4, DISC, SIDE)
