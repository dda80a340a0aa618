from pathlib import Path

import numpy as np
import pytest
import torch

from xraydenoise.labelling import LabelConfig, Labeller

VETO = {"shift": 0.05, "detail": 1.0, "survival": [0.5, 1.5]}
GOOD = {
    "order": "plain",
    "network": "x4plus",
    "weights": "package",
    "tile": 128,
    "overlap": 32,
    "max_shift": 0.1,
    "veto": VETO,
    "max_vetoed": 0.5,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"network": "general-x4v3"}, r"the package carries x4plus alone, not general-x4v3; .*realesr-general-x4v3\.pth"),
        ({"network": "x2plus"}, "x4plus"),
        ({"order": "both"}, "order"),
        ({"tile": 63}, "tile"),
        ({"overlap": 31}, "overlap"),
        ({"overlap": 65}, "65 px is more than half a tile of 128 px; at most 64"),
        ({"max_shift": 0}, "max_shift"),
        ({"tiles": 128}, "tiles"),
        ({"max_vetoed": 1.1}, "max_vetoed"),
        ({"veto": VETO | {"shift": 0.11}}, r"veto.shift: 0.11 is more than max_shift, 0.1"),
        ({"veto": VETO | {"survival": [1.1, 1.5]}}, "0 <= least < 1 < most"),
        ({"veto": VETO | {"detail": 0}}, "detail"),
    ],
)
def test_a_wrong_entry_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        LabelConfig.model_validate(GOOD | change)


@pytest.fixture
def labeller(released, tmp_path):
    def labeller(**change) -> Labeller:
        config = LabelConfig.model_validate(GOOD | {"network": "general-x4v3", "weights": str(released)} | change)
        return Labeller(config, tmp_path, torch.device("cpu"), torch.float32)

    return labeller


def test_a_labeller_makes_a_label_of_the_same_size(labeller, picture):
    label = labeller()(picture(40, 33))
    assert label.shape == (40, 33)
    assert np.isfinite(label).all()


def test_a_wrong_hash_stops_before_any_work(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"x")
    with pytest.raises(ValueError, match="sha256"):
        Labeller(LabelConfig.model_validate(GOOD | {"weights": str(tmp_path / "x.pth")}), Path(), torch.device("cpu"), torch.float32)


def test_labels_share_a_key_only_where_all_that_makes_them_is_the_same(labeller, picture):
    pixels = picture(40, 33)
    key = labeller().key(pixels)
    assert labeller().key(pixels.copy()) == key
    assert labeller(max_shift=0.2).key(pixels) == key
    changed = pixels.copy()
    changed[0, 0] += 0.01
    assert (
        len(
            {key, labeller().key(changed), labeller().key(pixels.T.copy()), labeller(tile=64).key(pixels), labeller(overlap=40).key(pixels)}
        )
        == 5
    )
