from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from xraydenoise import contracts, params
from xraydenoise.data import store
from xraydenoise.noise import Noise, draw_seed
from xraydenoise.noise.gaussian import Config as Gaussian
from xraydenoise.stages import degrade

SAMPLE = Path(__file__).parents[2] / "profiles/sample.yaml"
CONDITIONS: dict[str, Noise] = {
    "clipped": Gaussian(kind="gaussian", mean=0.0, sigma=0.2, clip=True),
    "free": Gaussian(kind="gaussian", mean=0.0, sigma=0.2, clip=False),
}
OUT = Path("artifacts/degrade")
REGIONS = Path("artifacts/tracks/enhanced/regions.parquet")


@pytest.fixture
def run(tracks: Path) -> Callable[..., pd.DataFrame]:
    """Runs the stage under the conditions, by default CONDITIONS on both tracks; the manifest it leaves."""
    sample = params.load(SAMPLE)

    def run(track: str, noise: dict[str, Noise] = CONDITIONS, enhanced: dict[str, Noise] = CONDITIONS) -> pd.DataFrame:
        degrade.run(sample.model_copy(update={"conditions": {"noise": noise, "enhanced": enhanced}}), track)
        return contracts.read(OUT / track / "manifest.parquet", contracts.Degraded)

    return run


def noisy(track: str, manifest: pd.DataFrame, image: str, condition: str) -> np.ndarray:
    row = manifest[(manifest["image"] == image) & (manifest["condition"] == condition)].iloc[0]
    return store.read(store.open_store(OUT / track / f"{condition}.npy"), row["offset"], row["height"], row["width"])


def held_out(track: str) -> pd.DataFrame:
    manifest = contracts.read(Path("artifacts/tracks", track, "manifest.parquet"), contracts.Track)
    return manifest[manifest["split"] != "train"]


def test_every_val_and_test_picture_is_drawn_once_under_every_condition(run) -> None:
    manifest = run("noise")
    assert sorted(zip(manifest["image"], manifest["condition"], strict=True)) == sorted(
        (image, condition) for image in held_out("noise")["image"] for condition in CONDITIONS
    )


def test_clipped_noise_lies_in_a_uint16_store_and_free_noise_leaves_the_scale(run) -> None:
    run("noise")
    assert store.open_store(OUT / "noise/clipped.npy").dtype == np.uint16
    free = store.open_store(OUT / "noise/free.npy")
    assert free.dtype == np.float32
    assert free.min() < 0
    assert free.max() > 1


def drawn(track: str, manifest: pd.DataFrame, pixels: str, condition: str) -> tuple[np.ndarray, np.ndarray]:
    """The stored noisy picture of the last image, and what the condition makes of `pixels` with the seed of the manifest."""
    row = held_out(track).iloc[-1]
    clean = store.read(store.open_store(Path("artifacts/tracks", track, pixels)), row["offset"], row["height"], row["width"])
    seed = int(manifest["seed"][(manifest["image"] == row["image"]) & (manifest["condition"] == condition)].iloc[0])
    assert seed == draw_seed(params.load(SAMPLE).seed, row["image"], condition)
    expected = CONDITIONS[condition](torch.from_numpy(clean)[None, None], torch.Generator().manual_seed(seed))
    return noisy(track, manifest, row["image"], condition), expected[0, 0].numpy()


def test_noise_is_added_to_the_tracks_pictures_with_the_seed_of_the_manifest(run) -> None:
    found, expected = drawn("noise", run("noise"), "targets.npy", "free")
    np.testing.assert_array_equal(found, expected)


def test_on_track_enhanced_noise_is_added_to_the_plain_picture_and_the_preset_sees_it(run) -> None:
    found, expected = drawn("enhanced", run("enhanced"), "plain.npy", "free")  # the fixture's preset changes nothing, but it saturates
    np.testing.assert_allclose(found, expected.clip(0, 1), atol=1e-4)
    assert expected.min() < 0


def test_noise_after_the_enhancement_is_added_to_the_truth(run) -> None:
    regions = contracts.read(REGIONS, contracts.Regions)
    contracts.write(regions.assign(noise="after", high=2.0), REGIONS, contracts.Regions)  # a curve that darkens what is bright
    found, expected = drawn("enhanced", run("enhanced"), "linear.npy", "free")
    row = held_out("enhanced").iloc[-1]
    linear = store.read(store.open_store(REGIONS.with_name("linear.npy")), row["offset"], row["height"], row["width"])
    darkened = np.where(linear > 0.5, 0.5 + (linear - 0.5) / 3, linear)
    np.testing.assert_allclose(found, expected - linear + darkened, atol=1e-5)


def test_a_second_run_writes_the_same_bytes(run) -> None:
    run("noise")
    first = {path.name: path.read_bytes() for path in (OUT / "noise").iterdir()}
    run("noise")
    assert {path.name: path.read_bytes() for path in (OUT / "noise").iterdir()} == first
    assert set(first) == {"manifest.parquet", "clipped.npy", "free.npy"}


def test_a_pictures_noise_does_not_change_with_the_other_conditions(run) -> None:
    both = run("noise")
    image = both["image"].iloc[0]
    first = noisy("noise", both, image, "free")
    alone = run("noise", noise={"free": CONDITIONS["free"]})
    np.testing.assert_array_equal(noisy("noise", alone, image, "free"), first)


def test_a_track_without_conditions_has_an_empty_manifest(run) -> None:
    assert run("enhanced", enhanced={}).empty
