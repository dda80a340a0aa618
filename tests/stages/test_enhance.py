from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xraydenoise import contracts, enhancement, params
from xraydenoise.data import store
from xraydenoise.enhancement import EnhanceConfig
from xraydenoise.stages import enhance, tracks

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"
OUT = Path("artifacts/tracks/enhanced")
WRITTEN = ("regions.parquet", "plain.npy", "linear.npy")


@pytest.fixture
def run(tracks: Path) -> Callable[..., pd.DataFrame]:
    """Runs the stage on six patients with two pictures each; the manifest it leaves."""
    sample = params.load(SAMPLE)

    def run(seed: int = 1, region: int = 32, train: int = 9, presets: tuple[int, ...] = (0, 7)) -> pd.DataFrame:
        images = {"train": train, "val": 9, "test": 9}
        config = EnhanceConfig.model_validate({"presets": presets, "images": images, "region": region, "noise": "both"})
        enhance.run(sample.model_copy(update={"enhance": config, "seed": seed}))
        return contracts.read(OUT / "regions.parquet", contracts.Regions)

    return run


def whole(row: pd.Series) -> np.ndarray:
    """The plain picture that a region was cut from."""
    noise = contracts.read(Path("artifacts/tracks/noise/manifest.parquet"), contracts.Track).set_index("image")
    pixels = store.open_store(Path("artifacts/tracks/noise/targets.npy"))
    return store.read(pixels, *noise.loc[row["parent"], ["offset", "height", "width"]])


def test_each_region_is_cut_from_the_whole_picture_at_the_same_place_for_all_presets(run) -> None:
    manifest = run()
    noise = contracts.read(Path("artifacts/tracks/noise/manifest.parquet"), contracts.Track).set_index("image")
    assert len(manifest) == 2 * len(noise)
    for _, row in manifest.iterrows():
        parent, place = noise.loc[row["parent"]], (slice(row["top"], row["top"] + 32), slice(row["left"], row["left"] + 32))
        expected = enhancement.enhance(whole(row), row["preset"])[place]
        stores = tracks.stores(OUT)
        np.testing.assert_allclose(tracks.truth(stores, row.to_dict()), expected, atol=1e-5)
        np.testing.assert_allclose(store.read(stores.plain, row["plain"], row["height"], row["width"]), whole(row)[place], atol=1e-5)
        assert row["noise"] == "both"
        assert row["image"] == f"{row['parent']}-{row['preset']}"
        assert (row["patient"], row["split"]) == (parent["patient"], parent["split"])
        assert row["label"] == parent["label"] or (pd.isna(row["label"]) and pd.isna(parent["label"]))
    assert (manifest.groupby("parent")[["top", "left"]].nunique() == 1).all().all()


def test_few_pictures_show_every_patient_before_one_twice(run) -> None:
    three, four = run(train=3), run(train=4)
    for manifest, pictures in ((three, 3), (four, 4)):
        train = manifest[manifest["split"] == "train"]
        assert train["parent"].nunique() == pictures
        assert train["patient"].nunique() == 3
    assert set(three["image"]) <= set(four["image"])


def test_the_same_seed_gives_the_same_bytes_and_another_another_choice(run) -> None:
    first = run(train=3), *written()
    again = run(train=3), *written()
    assert first[1:] == again[1:]
    assert any(set(run(seed=seed, train=3)["image"]) != set(first[0]["image"]) for seed in range(2, 6))


def test_a_picture_smaller_than_the_region_is_kept_whole(run) -> None:
    manifest = run(region=64)
    assert set(zip(manifest["height"], manifest["width"], strict=True)) == {(32, 40), (40, 32)}
    assert (manifest[["top", "left"]] == 0).all().all()


def test_what_stage_label_made_stays_as_dvc_decides_over_it(run) -> None:
    left = (OUT / "targets.npy").read_bytes()
    run()
    assert (OUT / "targets.npy").read_bytes() == left


def written() -> list[bytes]:
    return [(OUT / name).read_bytes() for name in WRITTEN]


@pytest.mark.parametrize("seed", range(5))
def test_the_region_shows_structure_and_not_the_background_or_a_marker(seed) -> None:
    picture = np.zeros((300, 300), np.float32)
    picture[20:26, 20:40] = 1  # a marker on black
    structured = picture[120:280, 120:280]
    structured += 0.5 + 0.1 * np.random.default_rng(0).standard_normal(structured.shape).astype(np.float32)
    top, left = enhance.region(picture, 64, seed)
    assert (picture[top : top + 64, left : left + 64] > enhance.DARK).mean() > 0.5
