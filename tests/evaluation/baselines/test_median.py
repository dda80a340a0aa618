import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from xraydenoise.evaluation import baselines


@given(st.sampled_from([3, 5, 7, 9]), st.integers(9, 20), st.integers(9, 20), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_the_median_is_exact_and_reflects_borders_at_every_size(size: int, height: int, width: int, seed: int) -> None:
    noisy = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    np.testing.assert_array_equal(baselines.median(noisy, size), median_filter(noisy, size, mode="reflect"))
