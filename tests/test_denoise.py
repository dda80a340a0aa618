import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

import xraydenoise
from xraydenoise import models
from xraydenoise.denoise import load_denoiser
from xraydenoise.models.dncnn import Config

# What only the pipeline needs, and what Windows does not have.
PIPELINE = ["pandas", "pandera", "pyarrow", "mlflow", "dvc", "prefect", "yaml", "skimage", "matplotlib", "scipy", "kagglehub"]
POSIX = ["fcntl", "resource", "termios"]
NOISY = np.random.default_rng(0).random((96, 80))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "bset"}, "model: 'bset' is none of best, fast, models:/NAME@ALIAS, models:/NAME/VERSION, nor a folder"),
        ({"strength": 1.5}, "strength: 1.5 .* expected 0 to 1"),
        ({"strength": float("nan")}, "strength: nan .* expected 0 to 1"),
        ({"precision": "fp16"}, "precision: 'fp16' is unknown; expected auto, bf16, fp32"),
        ({"device": "tpu"}, "device: 'tpu' is unknown; expected auto, cpu, cuda, mps"),
    ],
)
def test_an_option_that_is_not_so_is_refused_with_those_there_are(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_denoiser(**options)


def test_a_folder_with_a_trained_network_is_a_denoiser_too(tmp_path: Path) -> None:
    config = Config(kind="dncnn", channels=4, depth=3, unshuffle=1, batch_norm=False)
    save_file(models.initialised(config, 0).state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"network": config.model_dump(mode="json")}))
    loaded = load_denoiser(tmp_path, device="cpu")
    assert loaded(NOISY).shape == (96, 80)
    assert len(loaded.digest) == 64
    (tmp_path / "weights.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match=r"weights\.safetensors: does not fit"):
        load_denoiser(tmp_path, device="cpu")


def test_the_package_offers_it_by_its_name() -> None:
    assert xraydenoise.load_denoiser is load_denoiser
    with pytest.raises(AttributeError, match="has no attribute 'load_denoisers'"):
        xraydenoise.load_denoisers  # noqa: B018


def test_denoising_an_array_imports_nothing_of_the_pipeline_and_nothing_that_only_posix_has() -> None:
    program = f"""
import sys
for name in {PIPELINE + POSIX!r}:
    sys.modules[name] = None  # as if it were not installed
import numpy as np
from xraydenoise import load_denoiser
load_denoiser("fast", device="cpu")(np.eye(32))
print(sorted(name for name in {PIPELINE + POSIX!r} if sys.modules[name] is not None))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
