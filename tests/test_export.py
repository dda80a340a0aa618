"""Networks as ONNX files, run by ONNX Runtime."""

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from xraydenoise import export, models, weights
from xraydenoise.__main__ import main
from xraydenoise.denoise import load_denoiser, load_network

CPU = torch.device("cpu")
SIZES = [(2, 67, 91), (1, 64, 64), (3, 1, 1), (1, 5, 200), (1, 128, 33)]  # odd and even ones, smaller and larger than a patch
SMALL = {  # a network of every kind
    "autoencoder": {"channels": [8, 4]},
    "dense_autoencoder": {"side": 16, "channels": [4, 8], "code": 20},
    "ding_liu": {"channels": 8},
    "dncnn": {"channels": 8, "depth": 4, "unshuffle": 2, "batch_norm": True},
    "eudncnn": {"channels": 4, "depth": 4},
    "gondara": {"channels": [4, 8]},
    "rdn": {"channels": 4, "blocks": 2, "layers": 2, "growth": 4, "unshuffle": 1},
    "red_net": {"channels": 4, "depth": 4, "unshuffle": 2},
    "residual_unet": {"channels": [4, 8, 8], "blocks": [1, 1, 1], "unshuffle": 2},
    "skip_autoencoder": {"channels": [4, 4, 4, 4, 4], "last": 4},
    "stacked_autoencoder": {"side": 16, "hidden": [32, 16]},
    "unet": {"channels": [4, 8], "bottleneck": 8, "unshuffle": 1, "residual": False, "batch_norm": True},
    "vae": {"side": 16, "channels": [4, 8], "code": 10},
}
# Calls the file as its metadata say, where torch cannot be imported; `raw` are pictures in the range already.
ALONE = """
import json, sys
import cv2
import numpy as np
sys.modules["torch"] = sys.modules["xraydenoise"] = None
import onnxruntime
session = onnxruntime.InferenceSession("fast.onnx")
told = session.get_modelmeta().custom_metadata_map
given = np.load("given.npz")
values = given["values"].astype(np.float32)
square = np.ones((7, 7), np.uint8)
still = cv2.dilate((cv2.erode(values, square) == cv2.dilate(values, square)).astype(np.uint8), square) == 1
low, high = np.percentile(values[~still], json.loads(told["percentiles"]))
shown = ((values - low) / (high - low)).clip(*json.loads(told["clip"]))
shown = np.where(still, shown.clip(0, 1), shown).astype(np.float32)[None, None]
noise = (shown - session.run(None, {"noisy": shown})[0])[0, 0] * (high - low) * ~still
np.savez("found.npz", raw=session.run(["clean"], {"noisy": given["raw"]})[0], denoised=values - noise)
print(json.dumps(told))
"""


def folder(kind: str) -> Path:
    """A network of this kind as training leaves it, with random weights in every layer."""
    config = models.KNOWN({"kind": kind, **SMALL[kind]})
    network, generator = models.initialised(config, seed=0), torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    (made := Path(kind)).mkdir()
    save_file(network.state_dict(), made / "weights.safetensors")
    (made / "config.json").write_text(json.dumps({"network": config.model_dump(mode="json")}))
    return made


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_kind_of_network_is_exported_here() -> None:
    room = [module.name for module in pkgutil.iter_modules(models.__path__)]
    assert {name for name in room if hasattr(importlib.import_module(f"xraydenoise.models.{name}"), "Config")} == set(SMALL)


@pytest.mark.parametrize("kind", SMALL)
def test_a_network_of_any_kind_gives_what_torch_gives_for_pictures_of_any_size(kind: str) -> None:
    export.onnx(folder(kind), Path("network.onnx"))
    session = onnxruntime.InferenceSession("network.onnx")
    network, _ = load_network(kind, CPU)
    for batch, height, width in SIZES:
        pictures = np.random.default_rng(0).random((batch, 1, height, width), np.float32)
        (found,) = session.run(["clean"], {"noisy": pictures})
        with torch.inference_mode():
            expected = network(torch.from_numpy(pictures)).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert np.abs(found - pictures).max() > 1e-2


def test_the_packaged_weights_denoise_without_torch_as_their_metadata_say() -> None:
    assert main(["export", "fast", "--format", "onnx", "--output", "fast.onnx"]) == 0
    rng = np.random.default_rng(0)
    values = np.rint(1500 + 400 * np.sin(np.arange(91) / 9) + rng.normal(0, 60, (67, 91))).astype(np.uint16)  # 12 bit in 16
    values[:, :20] = 0  # a collimator's border
    raw = rng.random((2, 1, 37, 50), np.float32)
    np.savez("given.npz", values=values, raw=raw)
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, told = np.load("found.npz"), json.loads(done.stdout)
    with torch.inference_mode():
        np.testing.assert_allclose(found["raw"], load_network("fast", CPU)[0](torch.from_numpy(raw)).numpy(), atol=1e-4)
    expected = load_denoiser("fast", device="cpu", precision="fp32")(values.astype(np.float32))
    np.testing.assert_allclose(found["denoised"], expected, atol=1e-4 * np.ptp(values))
    assert told["name"] == "fast"
    assert told["weights_sha256"] == weights.PACKAGED["fast"].sha256
    assert told["licence"].startswith("MIT; trained on pictures of NIH ChestX-ray14")
    assert told["warning"] == "Not for diagnostic use."


def test_the_file_is_whole_names_its_axes_is_the_same_each_time_and_holds_no_path_of_this_machine() -> None:
    made = folder("dncnn")
    contents = []
    for _ in range(2):
        export.onnx(made, Path("network.onnx"), overwrite=True)
        contents.append(Path("network.onnx").read_bytes())
    assert contents[0] == contents[1]
    model = onnx.load_from_string(contents[0])
    onnx.checker.check_model(model, full_check=True)
    for given in (*model.graph.input, *model.graph.output):
        sizes = [axis.dim_param or axis.dim_value for axis in given.type.tensor_type.shape.dim]
        assert sizes == ["batch", 1, "height", "width"]
    assert not [part for part in (b".py", str(made.absolute()).encode()) if part in contents[0]]
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told["licence"] == export.OWN


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none", "--output", "out.onnx"], "error: model: 'none' is none of best, fast, models:/NAME@ALIAS"),
        (["fast", "--output", "there.onnx"], "error: there.onnx: is there already; give another name, or --overwrite"),
    ],
)
def test_what_cannot_be_exported_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("there.onnx").write_bytes(b"there")
    assert main(["export", "--format", "onnx", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(said)
    assert Path("there.onnx").read_bytes() == b"there"


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_the_extra_onnx_the_way_out_is_one_line(package: str, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["export", "fast", "--format", "onnx", "--output", "fast.onnx"]) == 1
    expected = f"error: export: the package {package} is not installed; export needs it: pip install 'xraydenoise[onnx]'\n"
    assert capsys.readouterr().err == expected
