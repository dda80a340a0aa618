import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xraydenoise import params
from xraydenoise.labelling import audit, lesions, measures

LIMIT = 0.1
LIMITS = params.load(Path(__file__).parents[2] / "profiles/sample.yaml").label.veto
ZERO = measures.Findings(*[0.0] * 10, survival=1.0, correlation=1.0)


@pytest.fixture(scope="module")
def fine(picture):
    """A picture with detail to lose and room for a lesion."""
    return np.clip(0.1 + 0.7 * picture(96, 96), 0.05, 0.9)


def judged(label_of, pixels):
    """What the audit finds of the labels that `label_of` makes of a picture, without and with a lesion."""
    spot = lesions.place(pixels)
    label = label_of(pixels)
    survival = lesions.survival(label, label_of(lesions.insert(pixels, spot)), spot)
    audit.refuse("abc", pixels, label, LIMIT)
    return audit.judge(measures.measure(pixels, label, survival), LIMITS)


def vetoes(found):
    return [one.measure for one in found if one.severity > 1]


def texture(shape):
    down, right = np.indices(shape)
    return (0.08 * np.sin(1.2 * down) * np.sin(1.2 * right)).astype(np.float32)


def blotches(shape):
    waves = cv2.GaussianBlur(np.random.default_rng(0).standard_normal(shape).astype(np.float32), (0, 0), 4)
    return 0.04 * waves / waves.std()


def wiped(pixels):
    """A median filter that takes away whatever is smaller than half its window."""
    return cv2.medianBlur(np.rint(255 * pixels).astype(np.uint8), 13).astype(np.float32) / 255


@pytest.mark.parametrize(
    ("label_of", "vetoed"),
    [
        (lambda pixels: pixels, set()),
        (lambda pixels: pixels + 0.02, set()),
        (lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 0.7), set()),
        (lambda pixels: pixels + 0.04, {"shift"}),
        (lambda pixels: pixels - 0.04, {"shift"}),
        (lambda pixels: pixels + texture(pixels.shape), {"added"}),
        (lambda pixels: pixels + blotches(pixels.shape), {"structured"}),
        (lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 4), {"survival", "structured"}),
        (wiped, {"survival", "structured"}),
        (lambda pixels: pixels.mean() + 1.8 * (pixels - pixels.mean()), {"survival", "structured"}),
    ],
    ids=["identity", "brighter", "softer", "too bright", "too dark", "texture", "blotches", "blurred", "wiped out", "amplified"],
)
def test_a_constructed_label_gets_the_vetoes_it_should(fine, label_of, vetoed):
    found = judged(label_of, fine)
    assert set(vetoes(found)) == vetoed
    assert found[0].severity == max(one.severity for one in found)


def test_removed_noise_is_no_reason_for_a_veto(fine):
    noise = 0.03 * np.random.default_rng(0).standard_normal(fine.shape).astype(np.float32)
    assert vetoes(judged(lambda pixels: pixels - noise, fine + noise)) == []


def test_a_wiped_out_lesion_alone_vetoes_a_label_that_is_perfect_else(fine):
    assert vetoes(judged(lambda _: fine, fine)) == ["survival"]


def test_a_reason_names_measure_value_and_limit_the_worst_first():
    found = ZERO._replace(shift=-0.04, survival=0.12)
    limits = LIMITS.model_copy(update={"shift": 0.03, "survival": (0.5, 1.5)})
    assert audit.reason(audit.judge(found, limits)) == "survival 0.12, allowed 0.5 to 1.5; shift -0.040, at most 0.03 either way"


def test_a_label_within_the_limits_tells_the_measure_nearest_to_one():
    assert audit.reason(audit.judge(ZERO._replace(added=LIMITS.added / 2), LIMITS)).startswith("added ")


@given(
    shift=st.floats(-0.1, 0.1),
    added=st.floats(0, 0.1),
    structured=st.floats(0, 0.1),
    survival=st.one_of(st.floats(-1, 3), st.just(math.nan)),
)
def test_a_label_is_vetoed_exactly_where_a_measure_is_beyond_its_limit(shift, added, structured, survival):
    found = audit.judge(ZERO._replace(shift=shift, added=added, structured=structured, survival=survival), LIMITS)
    least, most = LIMITS.survival
    beyond = {
        "shift": abs(shift) > LIMITS.shift,
        "added": added > LIMITS.added,
        "structured": structured > LIMITS.structured,
        "survival": survival < least or survival > most,
    }
    assert set(vetoes(found)) == {measure for measure, is_beyond in beyond.items() if is_beyond}
    assert [one.severity for one in found] == sorted((one.severity for one in found), reverse=True)


@pytest.mark.parametrize("survival", [(-0.1, 1.5), (1.0, 1.5), (0.5, 1.0), (1.2, 0.5)])
def test_limits_that_would_veto_a_kept_lesion_are_refused(survival):
    with pytest.raises(ValueError, match="0 <= least < 1 < most"):
        audit.Limits(shift=0.03, added=0.03, structured=0.03, survival=survival)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_no_number_is_refused(picture, value):
    label = picture(70, 50)
    label[3, 4] = value
    with pytest.raises(ValueError, match=r"image abc: 1 of 3500 label pixels are NaN"):
        audit.refuse("abc", picture(70, 50), label, LIMIT)


def test_a_black_label_is_refused(picture):
    with pytest.raises(ValueError, match="image abc: the label is black"):
        audit.refuse("abc", picture(70, 50), np.zeros((70, 50), np.float32), LIMIT)


def test_a_single_black_tile_is_refused_though_the_mean_hardly_moves(picture):
    label = picture(256, 256)
    label[64:96, 32:64] = 0
    with pytest.raises(ValueError, match="image abc: the label is black at row 64, column 32, where the input has a mean of"):
        audit.refuse("abc", picture(256, 256), label, LIMIT)


@pytest.mark.parametrize(("shift", "refused"), [(0.09, False), (0.11, True), (-0.11, True)])
def test_a_mean_that_moved_further_than_the_limit_is_refused(picture, shift, refused):
    pixels = picture(70, 50)
    if not refused:
        audit.refuse("abc", pixels, pixels + shift, LIMIT)
        return
    with pytest.raises(ValueError, match=rf"image abc: the label's mean is off by \{shift:+.3f}, label.max_shift allows 0.1"):
        audit.refuse("abc", pixels, pixels + shift, LIMIT)


def test_a_tile_of_another_brightness_is_refused(picture):
    label = picture(256, 256)
    label[:32, :32] += 0.35
    with pytest.raises(ValueError, match=r"32 x 32 px is off by \+0.350, 3 x label.max_shift allows 0.3"):
        audit.refuse("abc", picture(256, 256), label, LIMIT)


def test_a_label_of_another_size_is_refused(picture):
    with pytest.raises(ValueError, match=r"the label has \(10, 12\) px, the input \(12, 10\)"):
        audit.refuse("abc", picture(12, 10), picture(10, 12), LIMIT)
