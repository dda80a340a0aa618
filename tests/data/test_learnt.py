"""What a network has seen: by id, and by likeness."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from xraydenoise.data import duplicates, learnt
from xraydenoise.data.learnt import Learnt


def picture(seed: int, side: int = 256) -> np.ndarray:
    """uint16 (side, side) of long waves, which is like no other seed's."""
    waves = np.random.default_rng(seed).standard_normal((12, 12)).astype(np.float32)
    small = cv2.resize(waves, (side, side), interpolation=cv2.INTER_CUBIC)
    return (30000 + 6000 * small).clip(0, 65535).astype(np.uint16)


def signed(*pictures: np.ndarray) -> np.ndarray:
    return np.stack([duplicates.signature(pixels, 16) for pixels in pictures]).astype(np.float16)


KNOWN = Learnt(("a" * 16, "b" * 16), signed(picture(0), picture(1)))


def write(folder: Path, content: bytes) -> None:
    (folder / learnt.FILE).write_bytes(content)


def test_a_file_gives_back_what_it_was_made_of_each_picture_once_by_id(tmp_path: Path) -> None:
    write(tmp_path, KNOWN.joined(KNOWN).content())
    found = learnt.load(tmp_path)
    assert found is not None
    assert found.images == KNOWN.images
    np.testing.assert_array_equal(found.signatures, KNOWN.signatures)


def test_the_order_of_the_pictures_changes_no_byte() -> None:
    turned = Learnt(KNOWN.images[::-1], KNOWN.signatures[::-1])
    assert turned.content() == KNOWN.content()


def test_nothing_learnt_is_a_file_too_and_no_file_is_unknown(tmp_path: Path) -> None:
    assert learnt.load(tmp_path) is None
    write(tmp_path, learnt.NOTHING.content())
    found = learnt.load(tmp_path)
    assert found is not None
    assert found.images == ()
    assert learnt.seen(found, ["a" * 16], KNOWN.signatures[:1]) == frozenset()


@pytest.mark.parametrize(
    "damage", [lambda content: content[:100], lambda content: content[:0], lambda content: content.replace(b"images", b"imagos")]
)
def test_a_damaged_file_is_refused_by_name(damage, tmp_path: Path) -> None:
    write(tmp_path, damage(KNOWN.content()))
    with pytest.raises(ValueError, match=rf"{learnt.FILE}: does not tell what the network learnt from"):
        learnt.load(tmp_path)


def test_a_file_of_other_signatures_is_refused(tmp_path: Path) -> None:
    write(tmp_path, Learnt(("a",), np.zeros((1, 7), np.float16)).content())
    with pytest.raises(ValueError, match=r"has signatures \(1, 7\) of 1 pictures"):
        learnt.load(tmp_path)


def test_a_picture_is_known_by_its_id_whatever_it_looks_like() -> None:
    assert learnt.seen(KNOWN, ["c" * 16, "b" * 16], signed(picture(2), picture(3))) == {"b" * 16}


def test_a_copy_is_known_halved_turned_and_inverted_and_another_picture_is_not() -> None:
    halved = cv2.resize(picture(0), (128, 128), interpolation=cv2.INTER_AREA)
    copies = signed(halved, np.rot90(picture(1)), 65535 - picture(0), picture(5))
    assert learnt.seen(KNOWN, ["half", "turned", "negative", "other"], copies) == {"half", "turned", "negative"}


def test_signatures_are_compared_block_by_block_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = signed(*(picture(seed) for seed in range(5, 0, -1)))
    whole = duplicates.among(asked, KNOWN.signatures)
    monkeypatch.setattr(duplicates, "BLOCK", 2)
    np.testing.assert_array_equal(duplicates.among(asked, KNOWN.signatures), whole)
    assert whole.tolist() == [False, False, False, False, True]
