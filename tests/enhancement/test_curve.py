import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xraydenoise.enhancement import PRESETS, Curve, amplify, curve, enhance, gains

NUMBERS = range(len(PRESETS))
FLAT = [0.0, 0.3, 1.0]


def applied(found, values):
    return curve.apply(torch.tensor(values, dtype=torch.float32)[None, None, None], torch.tensor([found]))[0, 0, 0].numpy()


def test_a_curve_passes_through_its_three_points_and_is_straight_between_and_cut_outside():
    found = applied(Curve(low=0.1, middle=0.5, high=0.7, level=0.8), [-1, 0.1, 0.3, 0.5, 0.6, 0.7, 5])
    np.testing.assert_allclose(found, [0, 0, 0.4, 0.8, 0.9, 1, 1], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    number=st.sampled_from(NUMBERS),
    linear=hnp.arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.floats(-2, 4, width=32)),
)
def test_every_curve_rises_whatever_the_picture(number, linear):
    found = curve.fit(linear, number)
    assert np.isfinite(found).all()
    assert found.low < found.middle < found.high
    assert 0 < found.level < 1
    shown = applied(found, np.linspace(-3, 5, 2000).tolist())
    assert (np.diff(shown) >= -1e-6).all()
    assert (shown[0], shown[-1]) == (0, 1)


@settings(max_examples=60, deadline=None)
@given(number=st.sampled_from(NUMBERS), level=st.floats(0, 1), spread=st.floats(0, 3), background=st.floats(0, 1))
def test_slopes_stay_near_the_presets_own(number, level, spread, background):
    linear = level + spread * np.random.default_rng(0).standard_normal((40, 40))
    linear[:, : int(40 * background)] = 0
    found = curve.fit(linear, number)
    slopes = found.level / (found.middle - found.low), (1 - found.level) / (found.high - found.middle)
    for slope, own in zip(slopes, PRESETS[number].slopes, strict=True):
        assert 0.8 * own - 1e-4 <= slope <= own * 1.05 + 1e-4


@pytest.mark.parametrize("level", FLAT)
@pytest.mark.parametrize("number", NUMBERS)
def test_a_flat_picture_stays_flat(number, level):
    enhanced = enhance(np.full((30, 41), level, np.float32), number)
    assert np.ptp(enhanced) < 1e-4
    assert abs(float(enhanced[0, 0]) - level) < 0.2


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("beside", [0.0, 1.0])
def test_a_body_on_a_constant_background_keeps_its_order_of_bright_and_dark(radiograph, beside, number):
    pixels = radiograph[:256, :256].copy()
    pixels[:, :160] = beside
    enhanced = enhance(pixels, number)
    background, body = enhanced[:, 10:60].mean(), enhanced[:, 200:].mean()
    assert background < body - 0.2 if beside == 0 else background > body + 0.1
    assert np.corrcoef(enhanced[:, 200:].ravel(), pixels[:, 200:].ravel())[0, 1] > 0.5


@pytest.mark.parametrize("number", [2, 7, 11, 12])
def test_a_darker_picture_stays_darker(radiograph, number):
    means = [enhance(radiograph * factor, number).mean() for factor in (0.5, 0.75, 1.0)]
    assert means[0] < means[1] < means[2]


def test_a_curve_of_the_plain_picture_shows_a_change_of_it_where_it_is(radiograph):
    """The curve is not found anew for a version of the picture: a lesion moves no pixel that is far from it."""
    plain = torch.from_numpy(radiograph)[None, None]
    changed = plain.clone()
    changed[..., 20:30, 20:30] += 0.2
    curves = torch.tensor([curve.fit(amplify(plain, gains([4])), 4)])
    before, after = (curve.apply(amplify(each, gains([4])), curves) for each in (plain, changed))
    assert (after - before)[..., 20:30, 20:30].mean() > 0.2
    assert (after - before)[..., 350:, 350:].abs().max() < 1e-3
