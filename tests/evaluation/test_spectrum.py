import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from xraydenoise.evaluation import spectrum


def white(shape: tuple[int, int], seed: int = 0, sigma: float = 0.1) -> np.ndarray:
    return sigma * np.random.default_rng(seed).standard_normal(shape)


@given(st.integers(2, 200), st.integers(2, 200), st.integers(0, 2**31), st.floats(-0.5, 0.5))
@settings(max_examples=30, deadline=None)
def test_the_spectrum_adds_up_to_the_variance_and_has_the_same_frequencies_for_every_size(
    height: int, width: int, seed: int, offset: float
) -> None:
    residual = white((height, width), seed)
    found = spectrum.noise_power(residual + offset)
    assert (found.power * found.area).sum() == pytest.approx(residual.var())
    assert found.area.sum() == pytest.approx(1)
    np.testing.assert_array_equal(found.frequency, np.arange(46) / 64)


def test_white_noise_is_flat_at_its_variance() -> None:
    power = np.mean([spectrum.noise_power(white((512, 512), seed)).power for seed in range(8)], axis=0)
    np.testing.assert_allclose(power[1:], 0.01, rtol=0.1)  # the rings hold from 8 modes on
    np.testing.assert_allclose(power[10:44], 0.01, rtol=0.02)


@pytest.mark.parametrize("shape", [(48, 48), (96, 160), (301, 130)])
def test_small_and_odd_pictures_have_the_same_level(shape: tuple[int, int]) -> None:
    power = np.mean([spectrum.noise_power(white(shape, seed)).power for seed in range(80)], axis=0)
    np.testing.assert_allclose(power[4:44], 0.01, rtol=0.1)


def test_filtered_noise_shows_the_transfer_of_the_filter() -> None:
    kernel = np.array([1, 2, 1]) / 4  # its transfer is cos^2(pi f) along each axis
    powers = []
    for seed in range(8):
        rows = signal.convolve(white((514, 514), seed), kernel[:, None], mode="valid")
        powers.append(spectrum.noise_power(signal.convolve(rows, kernel[None, :], mode="valid")).power)
    along, across = np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512))
    radius, transfer = np.hypot(along, across), np.cos(np.pi * along) ** 4 * np.cos(np.pi * across) ** 4
    for ring in range(4, 30):
        expected = 0.01 * transfer[np.abs(radius * 64 - ring) < 0.5].mean()
        assert np.mean(powers, axis=0)[ring] == pytest.approx(expected, rel=0.08, abs=2e-6)


@pytest.mark.parametrize("shape", [(64, 64), (128, 192), (160, 64)])
def test_it_is_the_product_of_welchs_spectra_where_the_residual_is_one_of_rows_and_columns(shape: tuple[int, int]) -> None:
    rows, columns = (np.random.default_rng(seed).standard_normal(length) for seed, length in enumerate(shape))
    rows -= rows.mean()
    window = np.sin(np.pi * np.arange(1, 65) / 65) ** 2
    along, across = (
        signal.welch(part, window=window, noverlap=32, nperseg=64, detrend=False, return_onesided=False)[1] for part in (rows, columns)
    )
    plane = np.outer(along, across)
    frequency = np.fft.fftfreq(64)
    ring = np.rint(64 * np.hypot(frequency[:, None], frequency)).astype(int)
    expected = np.bincount(ring.ravel(), plane.ravel()) / np.bincount(ring.ravel())
    residual = np.outer(rows, columns)
    expected *= residual.var() / plane.mean()
    np.testing.assert_allclose(spectrum.noise_power(residual).power, expected, rtol=1e-9)


def test_a_wave_stands_at_its_frequency_whatever_its_direction() -> None:
    rows, columns = np.mgrid[:256, :256]
    for angle in (0, 0.4, 1.2):
        wave = np.sin(2 * np.pi * 0.25 * (np.cos(angle) * rows + np.sin(angle) * columns))
        found = spectrum.noise_power(wave)
        energy = found.power * found.area
        assert energy[15:18].sum() > 0.98 * energy.sum()  # Hann spreads it over the neighbours


def test_a_shift_of_the_mean_is_no_noise() -> None:
    residual = white((130, 100))
    np.testing.assert_allclose(spectrum.noise_power(residual + 0.3).power, spectrum.noise_power(residual).power, rtol=1e-9)


def test_an_error_at_the_very_border_is_seen() -> None:
    residual = np.zeros((128, 128))
    residual[0] = white((1, 128))[0]
    found = spectrum.noise_power(residual)
    assert (found.power * found.area).sum() == pytest.approx(residual.var())


def test_a_perfect_prediction_has_no_power() -> None:
    assert not spectrum.noise_power(np.zeros((80, 70), np.float32)).power.any()


def test_a_residual_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 4096 pixels"):
        spectrum.noise_power(np.where(np.arange(4096).reshape(64, 64) == 7, np.nan, 0))
