"""Repeated draws, the faint disc and the sweep, on the small project of this folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xraydenoise import contracts
from xraydenoise.params import Params
from xraydenoise.stages import baseline, examination

Small = Callable[..., Params]


@pytest.fixture
def examined(small: Small) -> Params:
    """Doing nothing and the median filter, examined."""
    chosen = small()
    for name in ("noisy", "median"):
        baseline.run(chosen, name)
    return chosen


def read(method: str, name: str, schema: type[contracts.Table]) -> pd.DataFrame:
    return contracts.read(Path("artifacts/evaluate", method, name), schema)


def test_doing_nothing_has_no_bias_but_what_clipping_makes_and_the_variance_of_the_noise(examined: Params) -> None:
    found = read("noisy", "examined.parquet", contracts.Examined).groupby("condition")[["bias2", "variance"]].mean()
    assert found.loc["gaussian_05", "variance"] == pytest.approx(0.05**2, rel=0.1)
    assert abs(found.loc["gaussian_05", "bias2"]) < 1e-4
    smoothed = read("median", "examined.parquet", contracts.Examined).groupby("condition")[["bias2", "variance"]].mean()
    assert (smoothed["variance"] < found["variance"]).all()


def test_methods_are_examined_on_the_same_pictures_and_none_is_seen_twice(examined: Params) -> None:
    first, second = (read(name, "examined.parquet", contracts.Examined) for name in ("noisy", "median"))
    pd.testing.assert_frame_equal(first[["condition", "image", "patient"]], second[["condition", "image", "patient"]])
    assert dict(first["condition"].value_counts()) == {"gaussian_05": 2, "gaussian_20": 2}
    assert first.groupby("condition")["patient"].nunique().eq(2).all()


def test_a_draw_is_the_same_for_every_method_and_another_for_each_number_and_picture(small: Small) -> None:
    chosen = small()
    noise, region = chosen.conditions["noise"]["gaussian_20"], np.full((32, 32), 0.5, np.float32)
    one = examination.draws(noise, chosen.seed, "a", "gaussian_20")
    np.testing.assert_array_equal(one(region, 3), examination.draws(noise, chosen.seed, "a", "gaussian_20")(region, 3))
    others = (one(region, 4), examination.draws(noise, chosen.seed, "b", "gaussian_20")(region, 3))
    assert all(abs(np.corrcoef(one(region, 3).ravel(), other.ravel())[0, 1]) < 0.15 for other in others)


def test_the_summary_pools_pictures_and_brackets_each_d(examined: Params) -> None:
    table = contracts.Detectability.validate(examination.summary(["noisy", "median"], examined))
    assert set(zip(table["condition"], table["method"], strict=True)) <= {
        (condition, method) for condition in ("gaussian_05", "gaussian_20") for method in ("noisy", "median")
    }
    assert len(table) >= 2
    several = table[table["placed"] > 1]
    assert (several["dprime_low"] <= several["dprime"]).all()
    assert (several["dprime"] <= several["dprime_high"]).all()
    noisy = table[table["method"] == "noisy"].set_index("condition")["dprime"]
    assert noisy["gaussian_05"] > noisy["gaussian_20"]  # a disc is harder to find in more noise


def test_pictures_without_a_place_for_the_disc_say_why_and_keep_their_bias_and_noise(small: Small) -> None:
    chosen = small()
    repeats = chosen.evaluate.repeats.model_copy(update={"side": 64})  # wider than the pictures
    chosen = chosen.model_copy(update={"evaluate": chosen.evaluate.model_copy(update={"repeats": repeats})})
    baseline.run(chosen, "noisy")
    found = read("noisy", "examined.parquet", contracts.Examined)
    assert found["cnr"].isna().all()
    assert found["reason"].str.contains("holds no region of 64x64 px").all()
    assert found["variance"].gt(0).all()
    table = contracts.Detectability.validate(examination.summary(["noisy"], chosen)).set_index("condition")
    assert (table["images"].eq(2) & table["placed"].eq(0)).all()
    assert table[["cnr", "dprime", "dprime_low", "dprime_high"]].isna().all(axis=None)
    assert table["variance"].to_dict() == pytest.approx(found.groupby("condition")["variance"].mean().to_dict())


def test_bias_and_noise_are_of_all_pictures_and_the_disc_of_those_with_a_place(examined: Params) -> None:
    path = Path("artifacts/evaluate/noisy/examined.parquet")
    found = read("noisy", "examined.parquet", contracts.Examined)
    before = examination.summary(["noisy"], examined).set_index("condition")
    (condition, *_) = before.index[before["placed"] > 0]
    first = found.index[(found["condition"] == condition) & found["cnr"].notna()][0]
    worse = pd.concat([found, found.loc[[first]].assign(bias2=1.0, variance=3.0, cnr=np.nan, reason="no room", patient="other")])
    outputs = np.load("artifacts/evaluate/noisy/channels.npy")
    np.save("artifacts/evaluate/noisy/channels.npy", np.concatenate([outputs, np.full_like(outputs[:1], np.nan)]))
    contracts.write(worse.reset_index(drop=True), path, contracts.Examined)
    after = examination.summary(["noisy"], examined).set_index("condition")
    assert after.loc[condition, "images"] == before.loc[condition, "images"] + 1
    assert after.loc[condition, "placed"] == before.loc[condition, "placed"]
    part = worse[worse["condition"] == condition]
    assert after.loc[condition, "bias2"] == pytest.approx(part["bias2"].mean())
    assert after.loc[condition, "variance"] == pytest.approx(part["variance"].mean())
    disc = ["cnr", "dprime", "dprime_low", "dprime_high"]
    pd.testing.assert_series_equal(after.loc[condition, disc], before.loc[condition, disc])


def test_the_sweep_falls_with_noise_and_rises_with_dose(examined: Params) -> None:
    means = read("noisy", "sweep.parquet", contracts.Sweep).groupby(["family", "level"])["psnr"].mean()
    assert means["gaussian", 0.05] > means["gaussian", 0.2]
    assert means["quantum", 200.0] > means["quantum", 20.0]
    better = read("median", "sweep.parquet", contracts.Sweep).groupby(["family", "level"])["psnr"].mean()
    assert (better["gaussian", 0.2], better["quantum", 20.0]) > (means["gaussian", 0.2], means["quantum", 20.0])
