"""The champion behind `mlflow models serve`: PNG files and lists of numbers in JSON, answered by a real process."""

import base64
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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
        assert asked.json()["message"].startswith(said)
        assert not {"stack_trace"} & asked.json().keys()
        assert str(Path.cwd()) not in asked.text
        assert "site-packages" not in asked.text


def test_what_is_too_large_or_too_much_at_once_is_refused_early(served):
    large = file(np.zeros((6000, 6000), np.uint8))
    begun = time.monotonic()
    asked = requests.post(served, json={"inputs": [large]}, timeout=60)
    assert (asked.status_code, asked.json()["message"]) == (413, "inputs have 36.0 megapixels; a request may have 32")
    assert time.monotonic() - begun < 10

    body = {"inputs": [file(np.random.default_rng(0).integers(0, 255, (2500, 3000), np.uint8))]}
    with ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(lambda _: requests.post(served, json=body, timeout=120), range(20)))
    assert Counter(answer.status_code for answer in answers).keys() == {200, 429}
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all("megapixels are in work, of at most 4 and 32; ask again in some seconds" in answer.json()["message"] for answer in refused)
    assert max(answer.elapsed.total_seconds() for answer in answers) < 60
    assert requests.post(served, json={"inputs": [[0.1, 0.2]]}, timeout=60).status_code == 200


@pytest.fixture
def model(project) -> Any:
    """The champion as the server calls it."""
    with store.opened("x") as opened:
        project.register(opened)
    import mlflow

    (path,) = Path("mlruns/artifacts/models").rglob("MLmodel")
    return mlflow.pyfunc.load_model(str(path.parent)).unwrap_python_model()


def refused(model: Any, *inputs: object) -> Any:
    """What the server is told of a request that has no answer."""
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException) as raised:
        model.predict(None, np.array(inputs, object))
    raised.value.message = "the whole request in many lines"  # as the server has it
    answer = json.loads(raised.value.serialize_as_json())
    return raised.value.get_http_status_code(), answer["message"]


def test_a_request_whose_time_is_over_is_worked_on_no_further(model, monkeypatch):
    pictures, done = [file(np.zeros((9, 9), np.uint8))] * 3, model.denoise

    def slow(pixels: np.ndarray) -> np.ndarray:
        time.sleep(1.2)
        return done(pixels)

    monkeypatch.setenv("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "1")
    model.denoise = slow
    assert refused(model, *pictures) == (504, "took too long; 1 of 3 pictures were done")
    with model.working:
        assert refused(model, *pictures) == (504, "took too long; none of its pictures was done")
    assert model.admitted == []


def test_an_error_of_the_network_tells_nothing_of_the_server(model):
    def broken(pixels: np.ndarray) -> np.ndarray:
        raise RuntimeError("/home/someone/weights: out of memory")

    model.denoise = broken
    assert refused(model, file(np.zeros((9, 9), np.uint8))) == (500, "failed with RuntimeError; the server's log has more")
    assert model.admitted == []
