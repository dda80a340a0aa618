import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xraydenoise.enhancement import PRESETS, EnhanceConfig, enhance

COUNTS = {"train": 1, "val": 1, "test": 1}


def test_there_are_thirteen_presets_from_identity_to_extreme():
    assert len(PRESETS) == 13
    assert list(PRESETS)[0::12] == ["identity", "extreme"]


def test_identity_changes_nothing(radiograph):
    np.testing.assert_array_equal(enhance(radiograph, "identity"), radiograph)


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset != "identity"])
def test_every_other_preset_shows_the_same_picture_otherwise(preset, radiograph):
    enhanced = enhance(radiograph, preset)
    assert np.abs(enhanced - radiograph).mean() > 0.001
    assert np.corrcoef(enhanced.ravel(), radiograph.ravel())[0, 1] > 0.5


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=8, deadline=None)
@given(pixels=hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.floats(0, 1, width=32)))
def test_any_picture_keeps_its_size_and_range_and_gives_the_same_twice(preset, pixels):
    before = pixels.copy()
    enhanced = enhance(pixels, preset)
    assert enhanced.shape == pixels.shape
    assert enhanced.dtype == np.float32
    assert np.isfinite(enhanced).all()
    assert 0 <= enhanced.min() <= enhanced.max() <= 1
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(enhance(pixels, preset), enhanced)


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset.startswith("dark")])
def test_dark_presets_darken(preset, radiograph):
    assert enhance(radiograph, preset).mean() < 0.85 * radiograph.mean()


@pytest.mark.parametrize(
    ("preset", "low", "high"),
    [("mild", 1.1, 1.5), ("detail", 2.5, 3.2), ("detail_strong", 4, 5.2), ("detail_max", 6, 8.2), ("extreme", 11, 13.5)],
)
def test_faint_detail_of_two_pixels_gains_as_system_a_did(preset, low, high):
    down, right = np.mgrid[:128, :128].astype(np.float32)
    pixels = (0.5 + 0.002 * np.cos(down * 2 * np.pi / 6) * np.cos(right * 2 * np.pi / 6)).astype(np.float32)
    inner = (slice(32, 96), slice(32, 96))
    assert low < enhance(pixels, preset)[inner].std() / pixels[inner].std() < high


def test_extreme_saturates(radiograph):
    enhanced = enhance(radiograph, "extreme")
    body = radiograph > 0.05
    assert (enhanced[body] >= 1).mean() + (enhanced[body] <= 0).mean() > 0.03


@pytest.mark.parametrize(
    ("presets", "said"),
    [(["identity", "sharpest"], "sharpest; expected some of identity, mild"), (["dark", "dark"], "named twice"), ([], "at least 1")],
)
def test_presets_that_are_unknown_doubled_or_missing_are_refused(presets, said):
    with pytest.raises(ValueError, match=said):
        EnhanceConfig(presets=presets, images=COUNTS, region=96)


@pytest.mark.parametrize("change", [{"region": 31}, {"images": COUNTS | {"val": 0}}, {"regions": 96}])
def test_sizes_and_counts_out_of_range_and_unread_keys_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        EnhanceConfig.model_validate({"presets": ["identity"], "images": COUNTS, "region": 96} | change)
