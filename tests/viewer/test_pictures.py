import base64

import cv2
import numpy as np
import pytest

from xraydenoise.viewer.pictures import centre, uri


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_every_gray_of_8_and_of_16_bit_is_embedded_without_loss(kind: type[np.integer]) -> None:
    grays = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (70, 90), kind, endpoint=True)
    begin, content = uri(grays).split(",")
    assert begin == "data:image/webp;base64"
    blue, green, red = cv2.split(cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR))
    if kind == np.uint8:
        assert (red == grays).all()
    else:
        assert (red * np.uint16(256) + green == grays).all()
        assert not blue.any()


def test_the_middle_of_a_picture_is_at_most_as_large_as_asked() -> None:
    pixels = np.arange(6 * 9).reshape(6, 9)
    np.testing.assert_array_equal(centre(pixels, 4), pixels[1:5, 2:6])
    np.testing.assert_array_equal(centre(pixels, 8), pixels[:, :8])
