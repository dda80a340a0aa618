"""The wheel and its layers: what it carries, what the plain one needs, and what it says where the extra `pipeline` is not installed."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import cv2
import data_store
import numpy as np
import pydicom
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from xraydenoise.__main__ import NAMED, STAGES
from xraydenoise.layers import lacking

ROOT = Path(__file__).parents[1]
DICOM = Path(data_store.__file__).parent / "data"
CODED = ["emri_small.dcm", "emri_small_jpeg_ls_lossless.dcm", "emri_small_jpeg_2k_lossless.dcm", "JPEG-LL.dcm"]  # none, then one a plugin
RADIOGRAPHS = ["RG3_UNCR.dcm", "RG3_J2KI.dcm"]
OPTIONS = ["--output", "out", "--model", "fast", "--device", "cpu"]
OTHERS = [[stage, "NAME"] if stage in NAMED else [stage] for stage in STAGES]
OTHERS += [["profile", "sample"], ["models"], ["ui"], ["verdict"], ["rollback", "--reason", "a trial"]]
WAY_OUT = r"the package \w+ is not installed; the commands of the pipeline need it: pip install 'xraydenoise\[pipeline\]'"
# Runs commands where `hidden` modules are not installed; prints their exit codes and what is imported in the end.
HIDDEN = """
import json, sys
hidden, commands = json.load(sys.stdin)
sys.modules |= dict.fromkeys(hidden)
from xraydenoise.__main__ import main
codes = [main(command) for command in commands]
print(json.dumps([codes, sorted({name.partition(".")[0] for name, module in sys.modules.items() if module})]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of these sources, built without network."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(folder))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def plain(wheel: Path) -> set[str]:
    """What the wheel requires without an extra."""
    (distribution,) = metadata.distributions(path=[str(wheel)])
    return {canonicalize_name(requirement.name) for requirement in wanted(distribution.requires or [])}


@pytest.fixture(scope="module")
def hidden(plain: set[str]) -> list[str]:
    """The modules that a plain installation lacks, of those that are installed here."""
    there = closure(plain) | {"xraydenoise"}
    return [module for module, owners in metadata.packages_distributions().items() if there.isdisjoint(map(canonicalize_name, owners))]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """The scripts of a new environment, which is removed in the end: with torch it takes a gigabyte."""
    venv.create(tmp_path / "empty", with_pip=True)
    yield tmp_path / "empty" / ("Scripts" if os.name == "nt" else "bin")
    shutil.rmtree(tmp_path / "empty")


def pip(*arguments: str, python: str | Path = sys.executable) -> None:
    done = subprocess.run([python, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def wanted(requires: Iterable[str], extras: Iterable[str] = ()) -> list[Requirement]:
    """Those that hold here, with these extras."""
    parsed = map(Requirement, requires)
    return [one for one in parsed if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras))]


def closure(names: set[str]) -> set[str]:
    """These distributions and all that they need in turn."""
    seen, todo = set(), {(name, frozenset[str]()) for name in names}
    while todo:
        seen.add(one := todo.pop())
        needed = wanted(metadata.requires(one[0]) or [], one[1])
        todo |= {(canonicalize_name(requirement.name), frozenset(requirement.extras)) for requirement in needed} - seen
    return {name for name, _ in seen}


def run_without(hidden: list[str], commands: list[list[str]]) -> tuple[list[int], set[str], list[str]]:
    """Exit codes, the modules imported in the end, and the lines on stderr."""
    done = subprocess.run([sys.executable, "-c", HIDDEN], input=json.dumps([hidden, commands]), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    codes, modules = json.loads(done.stdout.splitlines()[-1])
    return codes, set(modules), done.stderr.splitlines()


def test_the_wheel_carries_the_weights_and_every_other_file_of_the_package(wheel: Path) -> None:
    sources = {path.relative_to(ROOT / "src").as_posix(): path for path in (ROOT / "src" / "xraydenoise").rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as opened:
        packed = {name for name in opened.namelist() if name.startswith("xraydenoise/")}
        assert packed == {name for name in sources if "__pycache__" not in name}
        for name in ("best.safetensors", "fast.safetensors", "best.md", "fast.md"):
            assert opened.read(f"xraydenoise/weights/{name}") == sources[f"xraydenoise/weights/{name}"].read_bytes()


def test_denoising_imports_all_that_the_plain_layer_requires_and_needs_nothing_else(
    plain: set[str], hidden: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = np.random.default_rng(0).integers(0, 256, (32, 40), np.uint8)
    for name in ("a.png", "a.bmp", "a.tif", "b.jpg"):
        Path("scans", name).parent.mkdir(exist_ok=True)
        assert cv2.imwrite(f"scans/{name}", picture)
    np.save("scans/a.npy", picture)
    inputs = ["scans", *(str(DICOM / name) for name in CODED)]
    (code,), modules, said = run_without(hidden, [["denoise", *inputs, *OPTIONS]])
    assert code == 0, said
    assert {"mlflow", "dvc", "prefect", "pandas", "yaml", "skimage", "matplotlib"} <= set(hidden)
    owners = metadata.packages_distributions()
    imported = {canonicalize_name(owner) for module in modules for owner in owners.get(module, [])}
    assert plain <= imported
    assert imported <= closure(plain) | {"xraydenoise"}


def test_every_other_command_names_the_missing_package_and_the_way_out_in_one_line(
    hidden: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("params.yaml", "profiles/sample.yaml", "artifacts/register/verdict.txt", "artifacts/register/verdict.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    codes, _, said = run_without(hidden, OTHERS)
    assert codes == [1] * len(OTHERS)
    assert len(said) == len(OTHERS), said
    for (command, *_), line in zip(OTHERS, said, strict=True):
        assert re.fullmatch(f"error: {command}: {WAY_OUT}", line)


def test_the_flow_names_the_missing_package_too(hidden: list[str]) -> None:
    program = f"import runpy, sys; sys.modules |= dict.fromkeys({hidden!r}); runpy.run_module('pipeline', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(f"error: {WAY_OUT}\n", done.stderr)


@pytest.mark.parametrize("name", ["xraydenoise.stages.gone", "fcntl", None])
def test_what_no_installation_would_bring_is_raised_as_it_is(name: str | None) -> None:
    with pytest.raises(ModuleNotFoundError):
        lacking(ModuleNotFoundError("gone", name=name))


@pytest.mark.e2e
def test_the_plain_wheel_alone_in_an_empty_environment_denoises_radiographs(
    wheel: Path, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    probe = ["download", "--no-deps", "--retries", "0", "--timeout", "15", "--dest", "probe"]
    package = "pylibjpeg"  # a small one that no local folder is likely to have
    reached = subprocess.run([sys.executable, "-m", "pip", *probe, package], capture_output=True, text=True, check=False)
    if reached.returncode:
        pytest.skip(f"pip reaches no package index here: {reached.stderr.strip().splitlines()[-1]}")
    pip("install", "--no-compile", "--constraint", str(ROOT / "constraints.txt"), str(wheel), python=empty / "python")
    inputs = [DICOM / name for name in RADIOGRAPHS]
    done = subprocess.run([empty / "xraydenoise", "denoise", *inputs, *OPTIONS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for source in inputs:
        before, after = pydicom.dcmread(source), pydicom.dcmread(Path("out", source.name))
        assert after.PatientID == before.PatientID
        change = np.abs(after.pixel_array.astype(float) - before.pixel_array)
        assert 0.1 < change.mean() < 0.02 * np.ptp(before.pixel_array)
    refused = subprocess.run([empty / "xraydenoise", "check"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert re.fullmatch(f"error: check: {WAY_OUT}\n", refused.stderr)
