import numpy as np
import pytest
import torch

from xraydenoise import load_denoiser
from xraydenoise.inference import Denoiser


@pytest.fixture(scope="module")
def denoise() -> Denoiser:
    return load_denoiser("fast", device="cpu", precision="fp32")


def clean(height: int = 96, width: int = 80) -> np.ndarray:
    """float64 (H, W) in [.1, .9], smooth with an edge."""
    down, across = np.mgrid[:height, :width] / 25
    return np.where(across > 1.5, 0.1, 0.25) + 0.3 * (1 + np.sin(down) * np.cos(across))


def noisy(height: int = 96, width: int = 80) -> np.ndarray:
    return (clean(height, width) + np.random.default_rng(0).normal(0, 0.05, (height, width))).clip(0, 1)


def gain(denoised: np.ndarray, before: np.ndarray, truth: np.ndarray) -> float:
    """dB."""
    return float(10 * np.log10(np.square(before - truth).mean() / np.square(denoised - truth).mean()))


@pytest.mark.parametrize("lead", [(), (2,), (2, 1)], ids=["HW", "BHW", "B1HW"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_the_same_type_and_shape_come_out_with_less_noise(denoise: Denoiser, kind: type[np.generic], lead: tuple[int, ...]) -> None:
    scale = 1 if issubclass(kind, np.floating) else np.iinfo(kind).max
    pixels = np.broadcast_to(np.rint(noisy() * scale) if scale > 1 else noisy(), (*lead, 96, 80)).astype(kind)
    before = pixels.copy()
    denoised = denoise(pixels)
    assert denoised.dtype == kind
    assert denoised.shape == pixels.shape
    assert np.array_equal(pixels, before)
    assert gain(denoised / scale, pixels / scale, clean()) > 6


def test_a_16_bit_picture_divided_by_8_gains_the_same(denoise: Denoiser) -> None:
    whole = np.rint(noisy() * 65535).astype(np.uint16)
    dim = whole // 8
    gains = [gain(denoise(one) / scale, one / scale, clean()) for one, scale in ((whole, 65535), (dim, 65535 / 8))]
    assert gains[0] > 6
    assert gains[1] == pytest.approx(gains[0], abs=0.1)


@pytest.mark.parametrize(("factor", "offset"), [(4095, 0), (0.01, -3), (-2000, 500)])
def test_another_unit_or_sign_changes_nothing_but_the_unit(denoise: Denoiser, factor: float, offset: float) -> None:
    away = denoise.noise(noisy())
    np.testing.assert_allclose(denoise.noise(noisy() * abs(factor) + offset) / abs(factor), away, atol=1e-4)
    negative = 1 - noisy()
    assert gain(denoise(negative), negative, 1 - clean()) > 6


def test_floats_that_leave_0_to_1_keep_their_values_and_others_stay_within(denoise: Denoiser) -> None:
    unclipped = clean() * 1.6 - 0.3 + np.random.default_rng(0).normal(0, 0.05, (96, 80))
    denoised = denoise(unclipped)
    assert denoised.min() < -0.01
    assert denoised.max() > 1.01
    within = denoise((unclipped).clip(0, 1))
    assert within.min() >= 0
    assert within.max() <= 1


def test_letters_far_outside_neither_dim_the_picture_nor_lose_their_values(denoise: Denoiser) -> None:
    pixels = np.rint(noisy() * 4095).astype(np.uint16)
    marked = pixels.copy()
    marked[10:20, 10:22] = 65535
    denoised = denoise(marked)
    assert (denoised[10:20, 10:22] == 65535).all()
    assert gain(denoised[40:] / 4095, pixels[40:] / 4095, clean()[40:]) > 6


def test_borders_of_one_value_stay_as_they_are(denoise: Denoiser) -> None:
    pixels = np.rint(noisy() * 255).astype(np.uint8)
    pixels[:, :20] = 255
    pixels[-12:] = 0
    denoised = denoise(pixels)
    assert (denoised[:-12, :20] == 255).all()
    assert (denoised[-12:] == 0).all()
    assert (denoised != pixels)[:-12, 20:].mean() > 0.8


@pytest.mark.parametrize("border", [0, 65535])
def test_beside_a_border_far_outside_the_range_of_the_picture_the_noise_still_goes(denoise: Denoiser, border: int) -> None:
    """Anatomy between .6 and .7 of full scale within a collimator's black or white, which a linear scale would put far outside [0, 1]."""
    framed, truth = (np.full((192, 176), border, np.uint16) for _ in range(2))
    within = np.s_[48:144, 48:128]
    framed[within], truth[within] = (np.rint((0.6 + 0.1 * one) * 65535) for one in (noisy(), clean()))
    inside = gain(*(one.astype(float) / 65535 for one in (denoise(framed)[within], framed[within], truth[within])))
    assert inside > 10  # 18 without the border, whose edge it shares


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_picture_of_one_value_comes_back(denoise: Denoiser, value: int) -> None:
    pixels = np.full((20, 30), value, np.uint8)
    assert np.array_equal(denoise(pixels), pixels)


def test_padding_is_left_out_of_the_range_and_stays(denoise: Denoiser) -> None:
    values = noisy() * 1000
    padded = values.copy()
    padded[:, 60:] = np.linspace(-30000, -20000, 96)[:, None]
    away = denoise.noise(padded, padding=np.arange(80)[None] >= np.full((96, 1), 60))
    assert (away[:, 60:] == 0).all()
    assert gain((padded - away)[:, :50] / 1000, values[:, :50] / 1000, clean()[:, :50]) > 6


def test_a_batch_is_each_picture_by_itself_and_the_same_input_gives_the_same_bytes(denoise: Denoiser) -> None:
    one, other = noisy(), noisy()[::-1] / 9
    together = denoise(np.stack([one, other]))
    assert together.tobytes() == np.stack([denoise(one), denoise(other)]).tobytes()


def test_strength_is_the_share_of_the_noise_that_goes() -> None:
    none, half, whole = (load_denoiser("fast", "cpu", "fp32", strength)(noisy()) for strength in (0, 0.5, 1))
    assert np.array_equal(none, noisy())
    np.testing.assert_allclose(half, (noisy() + whole) / 2, atol=1e-6)


def test_bf16_differs_from_fp32_by_less_than_the_noise(denoise: Denoiser) -> None:
    rounded = load_denoiser("fast", device="cpu", precision="bf16")(noisy())
    assert 0 < np.abs(rounded - denoise(noisy())).max() < 0.02


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        ([[0.0]], "uint8, uint16 or floats of up to 64 bits, found list"),
        (np.zeros((8, 8), np.int16), "found int16"),
        (np.zeros((8, 8), bool), "found bool"),
        (np.zeros((8, 8), np.longdouble), "floats of up to 64 bits, found float1?[0-9]+"),
        (np.zeros(8), r"found \(8,\)"),
        (np.zeros((8, 8, 3)), r"found \(8, 8, 3\), which looks like channels last"),
        (np.zeros((2, 3, 8, 8)), r"found \(2, 3, 8, 8\)"),
        (np.zeros((0, 8, 8)), r"found \(0, 8, 8\)"),
        (np.full((8, 8), np.nan), "64 of 64 pixels are NaN or infinite"),
        (np.array([[0.0] * 7 + [np.inf]] * 2), "2 of 16 pixels are NaN or infinite"),
    ],
)
def test_what_is_no_gray_picture_is_refused_with_what_was_found(denoise: Denoiser, pixels: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        denoise(pixels)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_cuda_gives_what_the_cpu_gives(denoise: Denoiser) -> None:
    np.testing.assert_allclose(load_denoiser("fast", "cuda", "fp32")(noisy()), denoise(noisy()), atol=1e-4)
