"""The champion behind `mlflow models serve`: PNG files and lists of numbers in JSON, answered by a real process."""

import base64
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import requests

from xraydenoise import load_denoiser
from xraydenoise.registry import store

pytestmark = pytest.mark.e2e
FLOATS = np.random.default_rng(0).random((2, 19, 24), np.float32)
URI = "models:/xraydenoise@champion"


@pytest.fixture
def served(project, servers) -> Iterator[str]:
    """The address at which the champion answers."""
    with store.opened("x") as opened:
        project.register(opened)
    port = servers.free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", URI, "--env-manager", "local"]
    activated = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow looks for uvicorn there
    environment = os.environ | {"PATH": activated, "MLFLOW_TRACKING_URI": store.URI, "MLFLOW_DISABLE_TELEMETRY": "true"}
    address = f"http://127.0.0.1:{port}"
    whole = [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with servers.running(whole, Path("serve.log"), lambda: servers.answers(f"{address}/ping"), env=environment):
        yield f"{address}/invocations"


def file(pixels: np.ndarray) -> str:
    return base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()


def test_a_served_champion_answers_png_files_of_both_depths_and_lists_of_floats(served):
    asked = requests.post(served, json={"inputs": FLOATS.tolist()}, timeout=60)
    assert asked.status_code == 200, asked.text
    denoise = load_denoiser("artifacts/train/dncnn")
    np.testing.assert_array_equal(np.array(asked.json()["predictions"]), denoise(np.array(FLOATS.tolist())))

    for kind in (np.uint8, np.uint16):
        full = np.iinfo(kind).max
        pictures = [np.rint(FLOATS[0] * full).astype(kind), np.rint(FLOATS[1, :7, :9] * full).astype(kind)]  # of two sizes
        asked = requests.post(served, json={"inputs": [file(one) for one in pictures]}, timeout=60)
        assert asked.status_code == 200, asked.text
        for one, text in zip(pictures, asked.json()["predictions"], strict=True):
            answer = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_UNCHANGED)
            assert answer.dtype == kind
            np.testing.assert_array_equal(answer, denoise(one))

    broken, colour = file(np.zeros((64, 64), np.uint8))[:60], file(np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8))
    for wrong, said in (
        ([[0.1, 0.2], [0.3]], "inputs must be numbers in nested lists of equal length, or PNG files as base64 text"),
        (["no base64!"], "inputs[0]: expected a gray PNG file as base64 text"),
        ([file(np.zeros((9, 9), np.uint8)), broken], "inputs[1]: expected a gray PNG file as base64 text; truncated"),
        ([colour], "inputs[0]: expected a gray PNG file as base64 text; colour"),
    ):
        asked = requests.post(served, json={"inputs": wrong}, timeout=60)
        assert asked.status_code == 400
        assert said in asked.json()["stack_trace"]
