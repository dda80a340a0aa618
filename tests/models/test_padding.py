import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xraydenoise.models.padding import padded


@given(height=st.integers(1, 20), width=st.integers(1, 20), multiple=st.sampled_from([1, 2, 4, 16]))
@settings(max_examples=50, deadline=None)
def test_a_picture_is_continued_by_reflection_to_the_next_multiple(height: int, width: int, multiple: int) -> None:
    picture = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(0))
    whole = padded(picture, multiple)
    frame = [(0, 0), (0, 0), (0, -height % multiple), (0, -width % multiple)]
    np.testing.assert_array_equal(whole.numpy(), np.pad(picture.numpy(), frame, mode="reflect"))
