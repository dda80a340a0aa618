"""A small finished project in a fresh folder: a real network, a ranking, a report; MLflow on real SQLite."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
import torch
from safetensors.torch import save_file

from xraydenoise import contracts
from xraydenoise.data import duplicates
from xraydenoise.data.learnt import Learnt
from xraydenoise.evaluation.verdict import Check, Verdict
from xraydenoise.models import dncnn
from xraydenoise.registry import champion, fetch, images, mirror, store
from xraydenoise.registry.runs import Method

NAME = "xraydenoise"
UNLABELLED = {"label_psnr": np.nan, "label_ssim": np.nan}  # as on track noise
NETWORK = {"kind": "dncnn", "channels": 4, "depth": 3, "unshuffle": 1, "batch_norm": False}
PICTURES = Learnt(("a" * 16, "b" * 16), np.eye(2, duplicates.LENGTH, dtype=np.float16))  # what the model learnt from
CURVE = "step,loss,learning_rate,val_target_psnr\n10,0.5,0.001,\n20,0.25,0.001,21.5\n30,0.125,0.0005,\n"


class Project:
    """The current folder, and what stages would write there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.methods = [self.method("dncnn"), self.method("median", learns=False)]

    @staticmethod
    def method(name: str, learns: bool = True, **params: Any) -> Method:
        return Method(name, "noise", learns, {"seed": 7, "model": {"start": None, "steps": 30, "network": NETWORK}, **params})

    @staticmethod
    def curve(rows: int) -> str:
        """The head of the learning curve and its first rows."""
        return "".join(CURVE.splitlines(keepends=True)[: rows + 1])

    @staticmethod
    def live(history: str) -> None:
        """The history of a training that is under way."""
        folder = Path("work/train/dncnn")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "history.csv").write_text(history)

    @contextlib.contextmanager
    def learning(self, rows: int) -> Iterator[None]:
        """The model's training again, as long as the block lasts: DVC has removed its outputs, and it writes them when it ends."""
        weights = Path("artifacts/train/dncnn/weights.safetensors").rename("weights")
        self.live(self.curve(rows))
        yield
        weights.rename("artifacts/train/dncnn/weights.safetensors")
        Path("work/train/dncnn/history.csv").unlink()

    @staticmethod
    def train(seed: int = 0) -> None:
        """The outputs of a finished training."""
        network = dncnn.Config.model_validate(NETWORK).build()
        generator = torch.Generator().manual_seed(seed)
        state = {name: torch.randn(weights.shape, generator=generator) / 10 for name, weights in network.state_dict().items()}
        folder, curves = Path("artifacts/train/dncnn"), Path("artifacts/curves")
        for made in (folder, curves):
            made.mkdir(parents=True, exist_ok=True)
        save_file(state, folder / "weights.safetensors")
        (folder / "config.json").write_text(json.dumps({"network": NETWORK, "steps": 30}))
        (curves / "dncnn.csv").write_text(CURVE)

    @staticmethod
    def describe() -> None:
        """The dataset card, the proof that nothing leaks, the quarantine with its manifest, and the audit of the labels."""
        folder, labels = Path("artifacts/ingest"), Path("artifacts/label")
        for made in (folder, labels):
            made.mkdir(parents=True, exist_ok=True)
        dataset = {"pictures": 12, "patients": 9, "licences": ["CC0"], "origin": ["a hospital"]}
        card = {"identity": "c0ffee", "pictures": 12, "patients": 9, "datasets": {"chests": dataset, "inbox": dataset}}
        (folder / "card.json").write_text(json.dumps(card))
        (folder / "card.md").write_text("# Dataset card\n")
        (folder / "leakage.json").write_text(json.dumps({"leaks": [], "splits": {"test": {"patients": 2, "identity": "0123"}}}))
        contracts.write(contracts.empty(contracts.Quarantine), folder / "quarantine.parquet", contracts.Quarantine)
        (labels / "audit.md").write_text("# Audit of the labels\n")

    @staticmethod
    def evaluate(name: str, setting: str = "") -> None:
        """The scores of a method, of which the mirror reads the bytes and what was tuned."""
        folder = Path("artifacts/evaluate", name)
        folder.mkdir(parents=True, exist_ok=True)
        row = {"method": name, "track": "noise", "condition": "gaussian_10", "image": "a" * 8, "patient": "p", "setting": setting}
        rows = [
            {**row, "split": split, "psnr": 30.0, "ssim": 0.9, "mse": 0.001, "ms_ssim": 0.9, "edges": 0.5, **UNLABELLED}
            for split in ("val", "test")
        ]
        contracts.write(pd.DataFrame(rows), folder / "scores.parquet", contracts.Scores)

    @staticmethod
    def compare(gains: dict[str, float]) -> None:
        """A ranking in which each method gains so many dB over the median filter, and a report."""
        folder, protocols = Path("artifacts/compare"), Path("artifacts/protocols")
        protocols.mkdir(parents=True, exist_ok=True)
        (protocols / "c.md").write_text("# Protocol C\n")
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for name, gain in gains.items():
            for split, condition in [(split, condition) for split in ("val", "test") for condition in ("gaussian_10", "all")]:
                row = {
                    "track": "noise",
                    "split": split,
                    "condition": condition,
                    "method": name,
                    "images": 2,
                    "pictures": 2,
                    "patients": 2,
                    "seen": 0.0,
                }
                row |= {"psnr": 28.0 + gain, "ssim": 0.8, "mse": 0.001, "ms_ssim": 0.9, "edges": 0.5, **UNLABELLED}
                row |= {"psnr_low": 27.0 + gain, "psnr_high": 29.0 + gain, "ssim_low": 0.7, "ssim_high": 0.9}
                row |= {"gain_psnr": gain, "gain_psnr_low": gain - 0.5, "gain_psnr_high": gain + 0.5}
                rows.append(row | {"gain_ssim": 0.01, "gain_ssim_low": 0.0, "gain_ssim_high": 0.02})
        for name in ("ranking.parquet", "ranking.csv"):
            contracts.write(pd.DataFrame(rows), folder / name, contracts.Ranking)
        faint = {"condition": "gaussian_10", "images": 2, "placed": 1, "bias2": 1e-5, "variance": 2e-4, "cnr": 1.5}
        faint |= {"dprime_low": np.nan, "dprime_high": np.nan}
        discs = pd.DataFrame([{**faint, "method": name, "dprime": 3.0 + gain} for name, gain in gains.items()])
        contracts.write(discs, folder / "detectability.csv", contracts.Detectability)
        contracts.write(pd.DataFrame([{"method": "dncnn", "parameters": 229, "mflop": 0.5}]), folder / "cost.csv", contracts.Cost)
        (folder / "report.md").write_text(f"# Report\n{gains}\n")

    @staticmethod
    def verdict(alias: str = "champion", promoted: bool | None = None, candidate: str = "dncnn", *reasons: str) -> Verdict:
        """What the gate could say of a candidate."""
        gained = Check("gain", "gaussian_10", "psnr", "median", 2.0, 1.5, float("nan"), 0.0, alias == "champion")
        audited = Check("added_detail", "", "", "", 0.01, float("nan"), float("nan"), 0.03, True)
        checks, told = (gained, audited), reasons or (f"{candidate} is {alias}.",)
        return Verdict(
            candidate, "noise", None, alias == "champion" if promoted is None else promoted, alias, told, ("Few patients.",), checks
        )

    def shown(self, seed: int = 0) -> dict[str, list[images.Shown]]:
        """Two pictures of every method, of which one is larger than what is shown."""
        draw, found = np.random.default_rng(seed), {}
        for method in self.methods:
            pictures = [np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32), draw.random((300, 280), np.float32)]
            found[method.title] = [
                images.Shown("gaussian_10", n, images.layers(one, one**3, one**2, one)) for n, one in enumerate(pictures)
            ]
        return found

    def mirror(self, opened: store.Store, shown: dict[str, list[images.Shown]] | None = None) -> list[str]:
        """All that the register stage mirrors, without pictures unless there are some."""
        return mirror.everything(opened, self.methods, shown or {}, [self.verdict()], {"seed": 7})

    def register(self, opened: store.Store, verdict: Verdict | None = None) -> dict[str, str]:
        """Mirror and register the model, by default as champion, weighed against the one that stands."""
        return self.register_against(champion.current(opened, NAME), opened, verdict)

    def register_against(self, weighed: fetch.Registered | None, opened: store.Store, verdict: Verdict | None = None) -> dict[str, str]:
        """The same, weighed against another champion, or none."""
        self.mirror(opened)
        return champion.register(opened, NAME, self.methods[0], verdict or self.verdict(), weighed, "0123", PICTURES, "# Model card\n")


AT_ONCE = """
import importlib, os, sys
from xraydenoise.registry import store
store.silence()
importlib.import_module(sys.argv[1])  # beforehand, so that all arrive at the same time
children = []
for _ in range(16):
    if (child := os.fork()) == 0:
        with store.opened(sys.argv[2]) as opened:
            run = opened.client.create_run(opened.experiment)
            opened.client.set_terminated(run.info.run_id)
        os._exit(0)
    children.append(child)
print({os.waitpid(child, 0)[1] for child in children})
"""


class Servers:
    """Real servers on loopback for as long as a test needs them."""

    @staticmethod
    def free_port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    @staticmethod
    @contextlib.contextmanager
    def running(command: list[str], log: Path, ready: Callable[[], bool], end: int = signal.SIGKILL, **options: Any) -> Iterator[None]:
        """A process that is `ready` within two minutes; it and its children are gone afterwards."""
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **options)
        try:
            latest = time.monotonic() + 120
            while not ready():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < latest, log.read_text()
                time.sleep(0.1)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, end)
            process.wait(30)

    @staticmethod
    def answers(url: str) -> bool:
        """Whether a page is there."""
        try:
            return requests.get(url, timeout=5).ok
        except requests.RequestException:
            return False


@pytest.fixture(scope="session")
def servers() -> Servers:
    return Servers()


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in which no stage ran but those that make the track, and MLflow has no database."""
    root = tmp_path / "project"
    track = root / "artifacts/tracks/noise"
    track.mkdir(parents=True)
    contracts.write(contracts.empty(contracts.Track), track / "manifest.parquet", contracts.Track)
    monkeypatch.chdir(root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Project(root)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database, made once, since MLflow takes a second for each."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with store.opened("x"):
            pass
    return folder / store.DATABASE


@pytest.fixture
def empty(fresh: Project, database: Path) -> Project:
    """The same with a database, which moves in when it is opened."""
    store.FOLDER.mkdir()
    shutil.copyfile(database, store.DATABASE)
    return fresh


@pytest.fixture
def project(empty: Project) -> Project:
    """A project whose stages all ran: one model that gains 2 dB, and the median filter."""
    empty.train()
    empty.describe()
    empty.evaluate("dncnn")
    empty.evaluate("median", "size=5")
    empty.compare({"dncnn": 2.0, "median": 0.0})
    return empty


@pytest.fixture(scope="session")
def sixteen() -> Callable[[str, str], tuple[str, str]]:
    """Sixteen processes that write a run into an experiment at once, MLflow's `backend` imported beforehand: how they ended, and stderr."""

    def sixteen(backend: str, experiment: str) -> tuple[str, str]:
        ended = subprocess.run([sys.executable, "-c", AT_ONCE, backend, experiment], capture_output=True, text=True, check=True)
        return ended.stdout, ended.stderr

    return sixteen
