from pathlib import Path

import pytest
import yaml

from xraydenoise import params

ROOT = Path(__file__).parents[1]
GAUSSIAN = {"kind": "gaussian", "mean": 0.0, "sigma": 0.1, "clip": True}


def entry(content, path):
    for part in path.split(".")[:-1]:
        content = content[part]
    return content, path.split(".")[-1]


@pytest.fixture
def refused(tmp_path):
    """What `load` says of params.yaml with one entry changed, or several."""

    def change(path, value=None):
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        for place, new in (path if isinstance(path, dict) else {path: value}).items():
            section, key = entry(content, place)
            section[key] = new
        changed = tmp_path / "params.yaml"
        changed.write_text(yaml.safe_dump(content))
        with pytest.raises(ValueError, match=r"params\.yaml") as error:
            params.load(changed)
        return str(error.value)

    return change


@pytest.mark.parametrize("profile", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_profile_is_good(profile):
    params.load(profile)


def test_the_params_are_frozen():
    checked = params.load(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        checked.seed = 1


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("seed", "3", ["seed", "valid integer", "'3'"]),
        ("seed", True, ["seed", "valid integer", "True"]),
        ("train.patch", 64.0, ["train.patch", "valid integer", "64.0"]),
        ("conditions.noise.gaussian_10.sigma", "0.1", ["conditions.noise.gaussian_10", "sigma", "expected a number", "'0.1'"]),
        ("conditions.noise.gaussian_10.clip", 1, ["conditions.noise.gaussian_10", "clip", "valid boolean", "1"]),
        ("baselines.median.sizes", 3, ["baselines.median", "sizes", "should be a list", "3"]),
        ("datasets.inbox.path", 3, ["datasets.inbox", "path", "3"]),
        ("models.dncnn.network.kind", ["dncnn"], ["models.dncnn.network", "dncnn"]),
        ("seed", -1, ["seed", "greater than or equal to 0", "-1"]),
        ("machine.cores", 3, ["machine.cores", "Extra inputs", "3"]),
        ("conditions.noise.gaussian_10.sigma", -0.1, ["conditions.noise.gaussian_10", "sigma", "-0.1"]),
        ("conditions.noise.gaussian_10.kind", "gausian", ["conditions.noise.gaussian_10", "gausian", "gaussian", "quantum"]),
        ("mixtures.blind", [], ["mixtures.blind"]),
        ("mixtures.blind", [{"share": 0, "noise": GAUSSIAN}], ["mixtures.blind.0.share", "greater than 0"]),
        ("mixtures.blind", [{"share": float("inf"), "noise": GAUSSIAN}], ["mixtures.blind.0.share", "finite"]),
        ("mixtures.blind", [{"noise": GAUSSIAN}], ["mixtures.blind.0.share", "required"]),
        ("mixtures.blind", [{"share": 1, "noise": GAUSSIAN | {"sigma": -1}}], ["mixtures.blind.0.noise", "sigma", "at least 0"]),
        ("train.augment.half", 1.5, ["train.augment.half", "less than or equal to 1", "1.5"]),
        ("train.augment.blur", 0.1, ["train.augment.blur", "Extra inputs"]),
        ("models.dncnn.network.kind", "dncn", ["models.dncnn.network", "dncn", "unet"]),
        ("models.dncnn.network.width", 64, ["models.dncnn.network", "width", "64"]),
        ("models.dncnn.mixture", "clean", ["models.dncnn.mixture", "clean", "blind"]),
        ("models.dncnn.objective", "psnr", ["models.dncnn.objective", "psnr", "mse"]),
        ("models.dncnn.objective.kind", "psnr", ["models.dncnn.objective", "psnr", "charbonnier", "mse"]),
        ("models.dncnn.objective", {"kind": "mse", "weight": 1.0}, ["models.dncnn.objective", "weight", "Extra inputs", "1.0"]),
        ("models.dncnn.objective", {"kind": "feature"}, ["models.dncnn.objective", "weight", "required"]),
        ("models.dncnn.objective", {"kind": "sure", "sigma": -0.1}, ["models.dncnn.objective", "sigma", "greater than 0", "-0.1"]),
        ("models.dncnn.objective", {"kind": "sure", "sigma": 0.1}, ["models.dncnn.objective", "sigma 0.1, clip false", "clip=True"]),
        ("models.dncnn.objective", {"kind": "elbo"}, ["models.dncnn.objective", "elbo takes kind vae", "'dncnn'", "use mse"]),
        ("models.dncnn.objective", {"kind": "bce"}, ["models.dncnn.objective", "bce takes networks", "[0, 1]", "use mse"]),
        ("models.dncnn.learning_rate", 0, ["models.dncnn.learning_rate", "greater than 0"]),
        ("classifier.channels", 0, ["classifier.channels", "greater than or equal to 1"]),
        ("models.dncnn.steps", "many", ["models.dncnn.steps", "many"]),
        ("models.median", None, ["models.median"]),
        ("datasets.sample.kind", "samples", ["datasets.sample", "samples", "kaggle"]),
        ("enhance.presets", ["sharpest"], ["enhance.presets", "sharpest", "valid integer"]),
        ("label.overlap", 1, ["label.overlap", "1"]),
        ("ingest.split", {"train": 0.9, "val": 0.2, "test": 0.2}, ["ingest.split"]),
        ("baselines.median.sizes", [2], ["baselines.median", "2"]),
        ("evaluate.sweep.gaussian", [0.1, 1.1], ["evaluate.sweep.gaussian", "less than or equal to 1", "1.1"]),
    ],
)
def test_a_wrong_entry_is_named_with_the_value_and_what_is_allowed(refused, path, value, said):
    line = refused(path, value)
    for part in said:
        assert part in line
    assert len(line.splitlines()) <= 2


@pytest.mark.parametrize("family", ["gaussian", "quantum"])
def test_a_level_of_noise_that_is_named_twice_is_refused_before_anything_is_trained(refused, family):
    line = refused(f"evaluate.sweep.{family}", [0.1, 0.1, 0.2])
    assert f"evaluate.sweep.{family}: must rise from each number to the next, found [0.1, 0.1, 0.2]" in line


def test_baselines_without_the_median_are_refused(refused):
    assert "median must be there" in refused("baselines", {"noisy": {"kind": "noisy"}})


def test_a_model_with_the_name_of_a_baseline_is_refused(refused):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert "name both a model and a baseline" in refused("models.noisy", content["models"]["dncnn"])


@pytest.mark.parametrize("section", ["models", "baselines"])
def test_an_entry_with_the_name_that_scores_give_to_the_champion_is_refused(refused, section):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert "'champion' stands for the registered model" in refused(f"{section}.champion", next(iter(content[section].values())))


@pytest.mark.parametrize("tracks", [[], ["enhanced"], ["noise", "noise"]])
def test_a_gate_without_track_noise_or_with_a_track_twice_is_refused(refused, tracks):
    told = "gate.tracks: must name noise, whose verdict is the one that `dvc metrics` compares, and no track twice"
    assert f"{told}, found {tracks}" in refused("gate.tracks", tracks)


def test_a_track_whose_best_model_is_to_be_champion_but_that_has_no_model_is_refused(refused):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    models = {name: entry for name, entry in content["models"].items() if entry["track"] == "noise"}
    said = refused({"models": models, "gate.tracks": ["noise", "enhanced"]})
    assert "models: none is of track enhanced, whose best model is to become champion (gate.tracks); add one, or take the track out" in said


def test_a_file_that_is_not_yaml_is_refused_with_its_name(tmp_path):
    (tmp_path / "params.yaml").write_text("seed: [1")
    with pytest.raises(ValueError, match="is not YAML"):
        params.load(tmp_path / "params.yaml")


def test_no_file_at_all_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(ValueError, match="run from the project's root"):
        params.load(tmp_path / "params.yaml")


def test_a_median_that_is_none_is_refused(refused):
    assert "measured against the median filter" in refused("baselines.median", {"kind": "noisy"})


def test_a_condition_with_the_name_of_the_mean_over_conditions_is_refused(refused):
    assert "'all' stands for the mean" in refused("conditions.noise.all", {"kind": "gaussian", "mean": 0.0, "sigma": 0.1, "clip": True})


def test_training_noise_that_is_not_clipped_while_test_noise_is_is_refused(refused):
    line = refused("mixtures.blind", [{"share": 1, "noise": GAUSSIAN | {"clip": False}}])
    assert "'blind' has clip [False], but the conditions of track noise have [True]" in line


@pytest.mark.parametrize("clips", [[True], [True, False]])
def test_training_noise_may_be_clipped_in_part_where_all_test_noise_is_clipped(clips, tmp_path):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["mixtures"]["blind"] = [{"share": 1, "noise": GAUSSIAN | {"clip": clip}} for clip in clips]
    changed = tmp_path / "params.yaml"
    changed.write_text(yaml.safe_dump(content))
    assert {part.noise.clip for part in params.load(changed).mixtures["blind"]} == set(clips)


def test_crops_are_augmented_on_track_noise_alone_and_not_where_a_classifier_is_asked_or_a_protocol_forbids_it():
    checked = params.load(ROOT / "params.yaml")
    plans = {name: model.plan(checked.train).augment for name, model in checked.models.items()}
    assert plans["dncnn"] == checked.train.augment is not None
    assert (plans["ding_liu"], plans["eudncnn"], plans["dncnn_enhanced"]) == (None, None, None)
    assert {learner.plan(checked.train).augment for learner in checked.protocols.values()} == {None}


def test_a_budget_that_ends_in_the_warm_up_is_refused(refused):
    assert "models.dncnn.steps: must be more than train.warmup, 50, found 50" in refused("models.dncnn.steps", 50)


def test_crops_larger_than_the_regions_they_are_cut_from_are_refused(refused):
    assert "train.patch: 128 px are more than enhance.region, 96" in refused("train.patch", 128)


def test_a_file_that_is_no_mapping_or_empty_is_refused_with_its_name(tmp_path):
    for content in ("", "[1, 2]\n", "3\n"):
        (tmp_path / "params.yaml").write_text(content)
        with pytest.raises(ValueError, match=r"params\.yaml: Input should be a mapping, found"):
            params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize("entry", ["train.patch", "evaluate.repeats.side"])
def test_squares_larger_than_any_picture_are_refused(entry, refused):
    assert f"{entry}: 300 px are more than ingest.size, 256, the longest side that a picture has" in refused(entry, 300)
