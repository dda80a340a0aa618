import shutil
from pathlib import Path

import pytest

from xraydenoise import params, profiles

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    monkeypatch.chdir(tmp_path)


def test_the_profile_sample_is_what_a_fresh_clone_runs():
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "profiles" / "sample.yaml").read_bytes()


def test_a_switch_puts_the_profile_into_params_yaml_and_back():
    for name in ("full", "sample"):
        profiles.switch(name)
        assert Path("params.yaml").read_bytes() == Path(f"profiles/{name}.yaml").read_bytes()


def test_edits_of_yours_are_not_overwritten_unless_forced():
    profiles.switch("sample")
    edited = Path("params.yaml").read_text() + "# mine\n"
    Path("params.yaml").write_text(edited)
    with pytest.raises(ValueError, match="holds edits of yours"):
        profiles.switch("full")
    assert Path("params.yaml").read_text() == edited
    profiles.switch("full", force=True)
    assert Path("params.yaml").read_bytes() == Path("profiles/full.yaml").read_bytes()


def test_outputs_that_the_new_profile_does_not_name_are_dropped_and_named():
    profiles.switch("sample")
    model = next(iter(params.load().models))
    for folder in ("downloads/sample", "downloads/inbox", f"artifacts/train/{model}"):
        Path(folder).mkdir(parents=True)
    said = profiles.switch("full")
    assert "dropped downloads/sample" in said
    assert not Path("downloads/sample").exists()
    assert Path("downloads/inbox").exists()
    assert Path(f"artifacts/train/{model}").exists()


def test_a_name_that_is_no_profile_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"'fulll' is no profile; profiles/ has full, .*sample"):
        profiles.switch("fulll")
