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
GOOD = measures.Findings(mean_input=0.5, mean_label=0.5, shift=0.0, detail=0.6, survival=1.0)


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


def wiped(pixels):
    """A median filter that takes away whatever is smaller than half its window."""
    return cv2.medianBlur(np.rint(255 * pixels).astype(np.uint8), 13).astype(np.float32) / 255


@pytest.mark.parametrize(
    ("label_of", "vetoed"),
    [
        (lambda pixels: pixels, set()),
        (lambda pixels: 0.95 * pixels + 0.02, set()),
        (lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 0.7), set()),
        (lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 0.7) + 0.04, {"shift"}),
        (lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 0.7) - 0.04, {"shift"}),
        (lambda pixels: pixels + texture(pixels.shape), {"detail"}),
        (lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 4), {"survival"}),
        (wiped, {"survival"}),
        (lambda pixels: pixels.mean() + 1.8 * (pixels - pixels.mean()), {"survival", "detail"}),
    ],
    ids=["identity", "brighter", "softer", "too bright", "too dark", "texture", "blurred", "wiped out", "amplified"],
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


@pytest.mark.parametrize(("detail", "vetoed"), [(0.47, []), (0.58, []), (0.75, []), (0.88, []), (1.4, ["detail"]), (1.6, ["detail"])])
def test_the_authors_pairs_pass_and_labels_that_real_esrgan_sharpened_do_not(detail, vetoed):
    """Their 26 labels have .47 to .88 times the fine detail of their inputs; Real-ESRGAN run on enhanced pictures made 1.4 to 1.6."""
    rng = np.random.default_rng(0)
    coarse = 0.5 + 0.1 * cv2.GaussianBlur(rng.standard_normal((128, 128)), (0, 0), 8)
    fine = 0.03 * rng.standard_normal((128, 128))
    pixels, label = (np.asarray(coarse + part * fine, np.float32) for part in (1, detail))
    found = measures.measure(pixels, label, 1.0)
    assert found.detail == pytest.approx(detail, rel=0.01)
    assert vetoes(audit.judge(found, LIMITS)) == vetoed


def test_a_reason_names_measure_value_and_limit_the_worst_first():
    found = GOOD._replace(shift=-0.04, survival=0.12, detail=1.4)
    limits = LIMITS.model_copy(update={"shift": 0.03, "survival": (0.5, 1.5), "detail": 1.0})
    assert audit.reason(audit.judge(found, limits)) == (
        "survival 0.12, allowed 0.5 to 1.5; detail 1.40, at most 1; shift -0.040, at most 0.03 either way"
    )


def test_a_label_within_the_limits_tells_the_measure_nearest_to_one():
    assert audit.reason(audit.judge(GOOD._replace(detail=0.9 * LIMITS.detail), LIMITS)).startswith("detail ")
    assert audit.reason(audit.judge(GOOD._replace(shift=0.99 * LIMITS.shift), LIMITS)).startswith("shift ")


@given(shift=st.floats(-0.1, 0.1), detail=st.floats(0, 3), survival=st.one_of(st.floats(-1, 3), st.just(math.nan)))
def test_a_label_is_vetoed_exactly_where_a_measure_is_beyond_its_limit(shift, detail, survival):
    found = audit.judge(GOOD._replace(shift=shift, detail=detail, survival=survival), LIMITS)
    least, most = LIMITS.survival
    beyond = {
        "shift": abs(shift) > LIMITS.shift,
        "detail": detail > LIMITS.detail,
        "survival": survival < least or survival > most,
    }
    assert set(vetoes(found)) == {measure for measure, is_beyond in beyond.items() if is_beyond}
    assert [one.severity for one in found] == sorted((one.severity for one in found), reverse=True)


@pytest.mark.parametrize("survival", [(-0.1, 1.5), (1.0, 1.5), (0.5, 1.0), (1.2, 0.5)])
def test_limits_that_would_veto_a_kept_lesion_are_refused(survival):
    with pytest.raises(ValueError, match="0 <= least < 1 < most"):
        audit.Limits(shift=0.03, detail=1.0, survival=survival)


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
