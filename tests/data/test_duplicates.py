from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xraydenoise.data import duplicates
from xraydenoise.data.decode import decode
from xraydenoise.data.prepare import scale
from xraydenoise.data.sources import phantom, sample

Alter = Callable[[np.ndarray], np.ndarray]

TURNED: dict[str, Alter] = {
    "upright": lambda pixels: pixels,
    "mirrored": np.fliplr,
    "flipped": np.flipud,
    "half turn": lambda pixels: np.rot90(pixels, 2),
    "transposed": np.transpose,
    "quarter turn right": lambda pixels: np.rot90(pixels, -1),
    "quarter turn left": lambda pixels: np.rot90(pixels, 1),
    "transverse": lambda pixels: np.rot90(pixels.T, 2),
}


def jpeg(quality: int) -> Alter:
    def alter(pixels: np.ndarray) -> np.ndarray:
        eight = np.ascontiguousarray(np.rint(pixels / 257).astype(np.uint8))
        data = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.imdecode(data, cv2.IMREAD_UNCHANGED).astype(np.uint16) * 257

    return alter


def negative(pixels: np.ndarray) -> np.ndarray:
    return 65535 - pixels


def resize(factor: float, interpolation: int) -> Alter:
    return lambda pixels: cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=interpolation)


def chain(*steps: Alter) -> Alter:
    def alter(pixels: np.ndarray) -> np.ndarray:
        for step in steps:
            pixels = np.ascontiguousarray(step(pixels))
        return pixels

    return alter


ALTERED: dict[str, Alter] = {
    **{f"jpeg {quality}": jpeg(quality) for quality in (50, 75, 95)},
    "half by area": resize(0.5, cv2.INTER_AREA),
    "half by lines": resize(0.5, cv2.INTER_LINEAR),
    "0.73 by cubics": resize(0.73, cv2.INTER_CUBIC),
    "double by cubics": resize(2, cv2.INTER_CUBIC),
    "half, mirrored, jpeg 50": chain(resize(0.5, cv2.INTER_LINEAR), TURNED["mirrored"], jpeg(50)),
    "0.6, a quarter turn, jpeg 50": chain(resize(0.6, cv2.INTER_CUBIC), TURNED["quarter turn left"], jpeg(50)),
    "1.7, transverse, jpeg 60": chain(resize(1.7, cv2.INTER_LINEAR), TURNED["transverse"], jpeg(60)),
    "negative": negative,
    "negative, half, transposed, jpeg 50": chain(negative, resize(0.5, cv2.INTER_AREA), TURNED["transposed"], jpeg(50)),
    "window": lambda pixels: np.clip((pixels.astype(float) - 4000) * 1.15, 0, 65535).astype(np.uint16),
}


@lru_cache
def drawn(patient: int, size: int = 256) -> np.ndarray:
    return np.rint(phantom.draw(size, 3, patient, 0) * 65535).astype(np.uint16)


@lru_cache
def radiographs() -> tuple[np.ndarray, ...]:
    """The sample at a working size of 256 px: a chest, a leg, and the eight mammograms of two patients."""
    return tuple(scale(decode(sample.locate(file), 64, False).pixels, 256) for file in sample.FILES)


def signatures(*pictures: np.ndarray, bits: int = 16) -> np.ndarray:
    return np.stack([duplicates.signature(picture, bits) for picture in pictures])


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    """Signatures (count, LENGTH) of nothing."""
    vectors = rng.normal(size=(count, duplicates.LENGTH))
    vectors[:, 0] = 0
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_copy_is_found_among_look_alikes(name: str) -> None:
    pictures = [*(drawn(patient) for patient in range(4)), *radiographs()]
    copies = [ALTERED[name](picture) for picture in pictures]
    found = duplicates.pairs(signatures(*pictures, *copies))
    assert [(pair.first, pair.second) for pair in found] == [(place, place + len(pictures)) for place in range(len(pictures))]


@pytest.mark.parametrize("name", TURNED)
def test_the_turn_is_named_that_makes_the_first_into_the_second(name: str) -> None:
    chest = radiographs()[0]
    assert chest.shape[0] != chest.shape[1]
    for other, told in ((chest, name), (negative(chest), f"negative, {name}")):
        (pair,) = duplicates.pairs(signatures(chest, TURNED[name](other)))
        assert pair.turn == told
        assert pair.similarity == pytest.approx(1, abs=2e-4)


def test_every_turn_has_its_name() -> None:
    assert tuple(TURNED) == duplicates.TURNS


@pytest.mark.parametrize("size", [80, 256])
def test_phantoms_of_different_patients_are_not_joined(size: int) -> None:
    assert duplicates.pairs(signatures(*(drawn(patient, size) for patient in range(24)))) == []


def test_views_of_one_patient_are_not_one_picture() -> None:
    assert duplicates.pairs(signatures(*radiographs())) == []


def test_the_same_collimator_and_marker_do_not_join_two_patients() -> None:
    framed = [picture.copy() for picture in (drawn(0), drawn(1))]
    for picture in framed:
        picture[:24] = picture[-24:] = 0
        picture[:, :24] = picture[:, -24:] = 0
        picture[6:18, 10:50] = 65535
    assert duplicates.pairs(signatures(*framed)) == []


def test_small_pictures_of_noise_are_not_joined() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 65536, (40, 60), dtype=np.uint16) for _ in range(100)]
    assert duplicates.pairs(signatures(*noise)) == []
    assert duplicates.nearest(signatures(*noise), [str(number) for number in range(100)], 1)[0].similarity < 0.5


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(32, 90), st.integers(32, 90)),
    seed=st.integers(0, 2**32 - 1),
    turn=st.sampled_from(duplicates.TURNS),
    gain=st.floats(0.2, 1.6),
    sign=st.sampled_from([1, -1]),
    offset=st.integers(0, 13000),
)
def test_a_picture_is_itself_at_every_turn_gain_and_offset(
    shape: tuple[int, int], seed: int, turn: str, gain: float, sign: int, offset: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 32768, shape, dtype=np.uint16)
    changed = np.rint(pixels * gain + offset).astype(np.uint16)
    (pair,) = duplicates.pairs(signatures(pixels, TURNED[turn](changed if sign > 0 else negative(changed))))
    assert pair.turn == (turn if sign > 0 else f"negative, {turn}")
    assert pair.similarity == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("block", [1, 3, 7, 512])
def test_pairs_are_those_of_comparing_all_eight_turns_one_by_one(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", block)
    pictures = [turn(drawn(patient, 64)) for patient in range(4) for turn in (TURNED["upright"], TURNED["quarter turn right"])]
    every = signatures(*pictures).astype(float)
    turned = np.stack([signatures(*(turn(picture) for picture in pictures)).astype(float) @ every.T for turn in TURNED.values()])
    best = np.abs(turned).max(axis=0)  # whether it is the picture or its negative
    expected = {(i, j): best[i, j] for i in range(8) for j in range(i + 1, 8) if best[i, j] >= 0.3}
    found = duplicates.pairs(every.astype(np.float32), 0.3)
    assert 4 < len(found) <= 28
    assert [(pair.first, pair.second) for pair in found] == sorted(expected)
    np.testing.assert_allclose([pair.similarity for pair in found], [expected[pair[:2]] for pair in found], atol=1e-5)


def test_pairs_do_not_depend_on_block_order_of_sums_or_other_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = unit(np.random.default_rng(1), 150)
    every = duplicates.pairs(vectors, 0.12)
    assert len(every) > 20
    monkeypatch.setattr(duplicates, "BLOCK", 11)
    assert duplicates.pairs(vectors, 0.12) == every
    few = duplicates.pairs(vectors[:40], 0.12)
    assert few == [pair for pair in every if pair.second < 40]


@pytest.mark.parametrize("block", [1, 16, 512])
def test_nearest_are_the_most_alike_whose_labels_differ(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", block)
    vectors = unit(np.random.default_rng(2), 60)
    labels = ["train", "val", "train", "test"] * 15
    across = [pair for pair in duplicates.pairs(vectors, -1) if labels[pair.first] != labels[pair.second]]
    ranked = sorted(across, key=lambda pair: -pair.similarity)
    assert duplicates.nearest(vectors, labels, 5) == ranked[:5]
    assert len(duplicates.nearest(vectors, labels, 10_000)) == len(across)


def test_a_leak_is_the_nearest_pair_across_splits() -> None:
    pictures = [drawn(0), drawn(1), drawn(2), jpeg(60)(np.fliplr(drawn(1)))]
    (near,) = duplicates.nearest(signatures(*pictures), ["train", "train", "val", "test"], 1)
    assert (near.first, near.second, near.turn) == (1, 3, "mirrored")
    assert near.similarity >= duplicates.THRESHOLD


def test_none_and_one_picture_have_no_pair() -> None:
    for count in (0, 1):
        vectors = unit(np.random.default_rng(0), count)
        assert duplicates.pairs(vectors) == []
        assert duplicates.nearest(vectors, ["train"] * count, 5) == []


def test_flat_pictures_are_like_no_other_and_nothing_is_ever_nan() -> None:
    flat = [np.full((64, 48), level, np.uint16) for level in (0, 30000, 65535)]
    faint = np.full((64, 64), 30000, np.uint16)
    faint[::2, ::2] += 60  # lost when 2 x 2 px become one
    vectors = signatures(*flat, faint, faint, drawn(0, 64))
    assert np.isfinite(vectors).all()
    assert duplicates.flat(vectors) == 5
    assert duplicates.pairs(vectors) == []
    assert [pair.similarity for pair in duplicates.nearest(vectors, list("abcdef"), 3)] == [0, 0, 0]


@pytest.mark.parametrize(("bits", "levels"), [(16, 512), (12, 32), (8, 4)])
def test_a_dim_picture_is_found_again_at_every_depth(bits: int, levels: int) -> None:
    dim = [np.rint(drawn(patient) / 65535 * levels) * (65535 / (2**bits - 1)) for patient in range(6)]
    pictures = [np.rint(picture).astype(np.uint16) for picture in dim]
    found = duplicates.pairs(signatures(*pictures, *map(np.fliplr, pictures), bits=bits))
    assert [(pair.first, pair.second, pair.turn) for pair in found] == [(place, place + 6, "mirrored") for place in range(6)]


@pytest.mark.parametrize("bits", [8, 12, 16, 32])
def test_an_edge_between_two_levels_is_flat_at_every_depth(bits: int) -> None:
    plate = np.full((64, 64), 30000, np.uint16)
    plate[:32] += round(65535 / (2 ** min(bits, 16) - 1))  # what rounding leaves of a slow gradient
    assert duplicates.flat(signatures(plate, bits=bits)) == 1


def test_nearly_flat_pictures_of_8_bit_are_not_joined_by_their_rounding() -> None:
    """Each has a slow gradient, which rounding turns into one edge between two levels, and many edges are alike."""
    rng = np.random.default_rng(0)
    down, across = np.mgrid[:128, :128] / 128
    slopes = [down * rng.uniform(0, 0.8) + across * rng.uniform(0, 0.8) + rng.uniform(99.5, 100) for _ in range(40)]
    plates = [(np.rint(slope) * 257).astype(np.uint16) for slope in slopes]
    assert duplicates.pairs(signatures(*plates, bits=8)) == []
    assert duplicates.pairs(signatures(*plates, bits=16)) != []  # were these levels a deep picture's, there would be much to tell


def test_a_signature_has_norm_one_and_is_always_the_same() -> None:
    first = duplicates.signature(drawn(0), 16)
    assert (first.shape, first.dtype) == ((duplicates.LENGTH,), np.dtype(np.float32))
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(first, duplicates.signature(drawn(0).copy(), 16))


def test_signatures_may_be_mapped_from_a_file(tmp_path: Path) -> None:
    vectors = unit(np.random.default_rng(3), 30)
    vectors[20] = vectors[4]
    path = tmp_path / "signatures.npy"
    np.save(path, vectors)
    (pair,) = duplicates.pairs(np.load(path, mmap_mode="r"))
    assert (pair.first, pair.second, pair.turn) == (4, 20, "upright")
