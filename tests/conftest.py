"""What every test gives back as it was, damage to a file, a browser, and a project in a new folder: the real `dvc repro`, run once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --force-device-scale-factor=1 --window-size=1280,1000"
)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
    "garbage": lambda _: b"\xff\x00 none of ours \n" * 9,
    "zeroed": lambda content: bytes(len(content)),
    "flipped": lambda content: content[: (place := len(content) * 3 // 4)] + bytes([content[place] ^ 1]) + content[place + 1 :],
}


@pytest.fixture(params=DAMAGE)
def damage(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Damages a file in one of five ways; one bit is flipped at three quarters of it."""

    def damage(path: Path) -> None:
        path.write_bytes(DAMAGE[request.param](path.read_bytes()))

    return damage


@pytest.fixture(autouse=True)
def same_import_path() -> Iterator[None]:
    """MLflow puts the code that travels with a model in front of ours and leaves it there, and later tests' processes inherit it."""
    before = sys.path[:]
    yield
    sys.path[:] = before


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a window; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed, so no browser can be driven")
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium with its chromedriver is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[[Path], Any]]:
    """Open a page; at the end, nothing may have been reported or asked of a network."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def visit(page: Path) -> Any:
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        browser.get(page.as_uri())
        viewer = browser.find_element(By.ID, "viewer")
        WebDriverWait(browser, 10).until(lambda driver: driver.find_element(By.ID, "scale").text or not viewer.is_displayed())
        return browser

    yield visit
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert {url.split(":")[0] for url in asked} <= {"file", "data", "chrome"}  # chrome: the browser's own first page
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


ROOT = Path(__file__).parents[1]
FILES = ["dvc.yaml", "data.dvc", ".dvcignore", ".gitignore", "pyproject.toml", "params.yaml"]
FOLDERS = ["src", "pipeline", "inbox", "profiles", "starts"]


class Project:
    """A project folder, and what a person types in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.env = {**os.environ, "PATH": path, "PYTHONPATH": str(root / "src")}

    def run(self, *command: str, fails: bool = False) -> str:
        """Standard output and error; the command must succeed, or fail where that is asked for."""
        ended = subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)
        assert (ended.returncode != 0) == fails, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def kill_when(self, *command: str, appears: str) -> None:
        """Start the command, and kill -9 its process group as soon as a file `appears` (a pattern below the root)."""
        process = subprocess.Popen(command, cwd=self.root, env=self.env, start_new_session=True, stdout=subprocess.DEVNULL)
        while not list(self.root.glob(appears)):
            assert process.poll() is None, f"ended before {appears} appeared"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def repro(self, *more: str) -> set[str]:
        """`dvc repro`; the stages that it ran."""
        said = self.run("dvc", "repro", *more)
        return {line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage '")}

    def params(self, change: dict[str, object]) -> None:
        """Set entries of params.yaml by their dotted names."""
        import yaml  # here and below, since the tests of the plain layer run without it

        content = yaml.safe_load((self.root / "params.yaml").read_text())
        for path, value in change.items():
            section, *rest = [content, *path.split(".")]
            for part in rest[:-1]:
                section = section[part]
            section[rest[-1]] = value
        (self.root / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    def read(self, *names: str) -> list[bytes]:
        return [(self.root / name).read_bytes() for name in names]


def small_params() -> dict[str, object]:
    """Eight phantom patients, two models and packaged weights as they are, one label a split: every stage, in seconds."""
    import yaml

    content = yaml.safe_load((ROOT / "profiles" / "sample.yaml").read_text())
    phantom = {"kind": "phantom", "path": "src/xraydenoise/data/sources/phantom"}
    content["datasets"] = {
        "phantom": phantom | {"patients": 8, "images_per_patient": 1, "size": 80, "seed": 3},
        "inbox": content["datasets"]["inbox"],
    }
    content["machine"] = {"device": "cpu", "threads": 1}
    content["enhance"] = {"presets": [0, 7], "noise": "before", "images": {"train": 1, "val": 1, "test": 1}, "region": 32}
    content["label"] |= {"tile": 64, "overlap": 32}
    content["train"] |= {"batch": 4, "patch": 32, "warmup": 2, "validate_every": 10, "checkpoint_every": 0.01}
    content["models"] = {name: content["models"][name] for name in ("fast", "dncnn", "dncnn_enhanced")}
    content["models"]["dncnn"]["steps"] = content["models"]["dncnn_enhanced"]["steps"] = 20
    content["classifier"] |= {"channels": 2, "steps": 5}
    content["protocols"] = {name: content["protocols"][name] | {"steps": 10} for name in ("c_dncnn",)}
    content["baselines"] = {name: content["baselines"][name] for name in ("noisy", "median", "total_variation")}
    content["baselines"]["total_variation"]["weights"] = [0.1, 0.2]
    content["evaluate"]["repeats"] |= {"draws": 6, "side": 48}
    content["evaluate"]["sweep"] |= {"pictures": 1, "gaussian": [0.1, 0.2], "quantum": [30.0, 300.0]}
    content["compare"]["resamples"] = 200
    return content


def copy_project(root: Path) -> Project:
    """The sources as a fresh clone has them, with small params."""
    import yaml

    root.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(ROOT / name, root / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "images", "images.dvc"))
    (root / "mlruns").mkdir()
    shutil.copyfile(ROOT / "mlruns" / ".gitignore", root / "mlruns" / ".gitignore")
    project = Project(root)
    (root / "params.yaml").write_text(yaml.safe_dump(small_params(), sort_keys=False))
    project.run("git", "init", "--quiet")
    project.run("dvc", "init", "--quiet")
    project.run("dvc", "config", "core.analytics", "false")
    return project


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A fresh project after `dvc repro`; tests copy it before they change it."""
    project = copy_project(tmp_path_factory.mktemp("reproduced") / "project")
    assert project.repro() >= {"ingest", "label", "train@dncnn", "register"}
    return project


@pytest.fixture
def project(reproduced: Project, tmp_path: Path) -> Project:
    """A copy of the reproduced project that a test may change."""
    shutil.copytree(reproduced.root, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """The project as a fresh clone has it: nothing has run."""
    return copy_project(tmp_path / "fresh")
