import functools
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from xraydenoise import transfer
from xraydenoise.labelling import weights
from xraydenoise.labelling.networks import RRDBNet, SRVGGNetCompact


@pytest.fixture
def served(tmp_path):
    """The base URL of a server on loopback that gives the files in tmp_path, and the requests it had."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            asked.append(words)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


class Hostile(http.server.BaseHTTPRequestHandler):
    """Answers as the path says; `content` is the file."""

    content = b""
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.asked.append(self.headers["Range"])
        try:
            getattr(self, self.path.split("?")[0].strip("/"))()
        except OSError:  # the client has hung up
            self.close_connection = True

    def headed(self, **headers: str) -> None:
        self.send_response(206 if "Content_Range" in headers else 200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def endless(self) -> None:
        self.headed()
        for _ in range(500):
            self.wfile.write(bytes(1 << 20))

    def huge(self) -> None:
        self.headed(Content_Length=str(10**12))
        for _ in range(500):
            self.wfile.write(bytes(1 << 20))

    def malformed(self) -> None:
        self.headed(Content_Length="many")
        self.wfile.write(self.content)

    def dripping(self) -> None:
        self.headed(Content_Length=str(len(self.content)))
        for _ in range(200):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def dripping_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(200):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.05)

    def cut(self) -> None:
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        whole = len(self.content)
        ranged = {"Content_Range": f"bytes {start}-{whole - 1}/{whole}"} if self.headers["Range"] else {}
        self.headed(Content_Length=str(whole - start), **ranged)
        self.wfile.write(self.content[start : start + whole // 3 + 1])
        self.close_connection = True

    def forbidden(self) -> None:
        self.send_error(403)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def hostile(released: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[Hostile]]]:
    """The base URL of a server on loopback that fails as the path says, and its handler; limits are those of a hasty user."""
    handler = type("Handler", (Hostile,), {"content": released.read_bytes(), "asked": []})
    monkeypatch.setattr(transfer, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(transfer, "GRACE", 1.0)
    monkeypatch.setattr(transfer, "ANSWER", 1.0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()


def test_the_package_lists_the_convolutions_in_the_order_in_which_the_network_defines_them():
    lines = weights.packaged().with_suffix(".param").read_text().splitlines()
    listed = [dict(part.split("=") for part in line.split()[6:]) for line in lines if line.startswith("Convolution ")]
    convolutions = [layer for layer in RRDBNet().modules() if isinstance(layer, torch.nn.Conv2d)]
    assert [(int(entry["0"]), int(entry["6"])) for entry in listed] == [
        (layer.out_channels, layer.weight.numel()) for layer in convolutions
    ]


def test_the_packages_weights_are_half_precision_numbers_of_a_trained_network(x4plus):
    for name, value in x4plus.state_dict().items():
        assert torch.isfinite(value).all()
        assert 0 < value.std() < 1 or value.numel() == 3
        if name.endswith("weight"):
            assert torch.equal(value, value.half().float())


def test_a_bin_of_another_network_is_refused():
    with pytest.raises(ValueError, match=r"tag|another network"):
        weights.from_ncnn(RRDBNet(blocks=22), weights.packaged())


def test_a_released_file_gives_its_own_numbers(released):
    network = weights.load("general-x4v3", weights.locate("general-x4v3", str(released), Path()))
    for key, value in torch.load(released, weights_only=True)["params"].items():
        assert torch.equal(network.state_dict()[key], value)
    assert not network.training


def test_the_averaged_weights_are_preferred(tmp_path):
    averaged = SRVGGNetCompact().state_dict()
    torch.save({"params": {}, "params_ema": averaged}, tmp_path / "both.pth")
    assert set(weights.from_official(tmp_path / "both.pth")) == set(averaged)
    torch.save({"state_dict": {}}, tmp_path / "neither.pth")
    with pytest.raises(ValueError, match="neither params_ema nor params, found state_dict"):
        weights.from_official(tmp_path / "neither.pth")


def test_another_hash_is_refused_in_one_line_with_path_both_hashes_and_the_way_out(tmp_path):
    path = tmp_path / "RealESRGAN_x4plus.pth"
    path.write_bytes(b"cut short")
    with pytest.raises(ValueError, match="sha256") as error:
        weights.locate("x4plus", str(path), tmp_path)
    for part in (str(path), weights.OFFICIAL["x4plus"].sha256, "fetch it again", "params.yaml"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_says_where_the_official_one_is(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth is not there; .*RealESRGAN_x4plus\.pth"):
        weights.locate("x4plus", str(tmp_path / "nowhere.pth"), tmp_path)


def test_a_url_is_fetched_once_and_kept(released, served, tmp_path, capsys):
    url, asked = served
    first = weights.locate("general-x4v3", f"{url}/{released.name}", tmp_path / "kept")
    assert first.read_bytes() == released.read_bytes()
    assert f"{released.name}, MiB" in capsys.readouterr().err
    assert weights.locate("general-x4v3", f"{url}/{released.name}", tmp_path / "kept") == first
    assert len(asked) == 1
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [first.name]


def test_a_url_with_other_content_is_refused_and_not_kept(released, served, tmp_path):
    (tmp_path / "other.pth").write_bytes(b"other")
    with pytest.raises(ValueError, match="sha256"):
        weights.locate("general-x4v3", f"{served[0]}/other.pth", tmp_path / "kept")
    assert not list((tmp_path / "kept").glob("*.pth"))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("endless", "does not say how long"),
        ("huge", "would send 1000000.0 MB, more than the 128 MiB allowed"),
        ("malformed", "Content-Length is 'many'"),
        ("dripping", "slower than"),
        ("dripping_headers", "no answer within 1 s"),
        ("forbidden", "HTTP 403"),
    ],
)
def test_a_server_that_sends_too_much_too_slowly_or_nonsense_is_one_line_and_its_file_is_gone(path, told, hostile, tmp_path):
    url, _ = hostile
    begun = time.monotonic()
    with pytest.raises(ConnectionError) as error:
        weights.locate("general-x4v3", f"{url}/{path}?key=secret", tmp_path / "kept")
    assert time.monotonic() - begun < 8
    said = str(error.value)
    assert said.startswith(f"label.weights: {url}/{path}?...: ")
    assert told in said
    assert said.endswith("; fetch it elsewhere and give its path")
    assert "\n" not in said
    assert "secret" not in said
    assert sum(file.stat().st_size for file in (tmp_path / "kept").iterdir()) < 1000  # what dripped in is kept for a better day


def test_a_cut_download_goes_on_where_it_was_cut(hostile, released, tmp_path):
    url, handler = hostile
    path = weights.locate("general-x4v3", f"{url}/cut", tmp_path / "kept")
    assert path.read_bytes() == released.read_bytes()
    assert handler.asked[0] is None
    assert len(handler.asked) == 3
    assert all(asked for asked in handler.asked[1:])
    assert list((tmp_path / "kept").iterdir()) == [path]


def test_a_kept_download_that_is_damaged_is_fetched_again(released, served, damage: Callable[[Path], None], tmp_path, capsys):
    url, asked = served
    path = weights.locate("general-x4v3", f"{url}/{released.name}", tmp_path / "kept")
    damage(path)
    assert weights.locate("general-x4v3", f"{url}/{released.name}", tmp_path / "kept") == path
    assert path.read_bytes() == released.read_bytes()
    assert len(asked) == 2
    assert f"{path}: is damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:9/x.pth", "Connection refused"),
        ("https://[bad/x.pth", "not a valid host"),
        ("http://", "No host supplied"),
        ("http://name.invalid/x.pth", "name.invalid"),
    ],
)
def test_a_url_that_leads_nowhere_is_known_before_any_compute(url, told, tmp_path):
    begun = time.monotonic()
    with pytest.raises(ConnectionError, match=told) as error:
        weights.reach("x4plus", url, tmp_path)
    assert time.monotonic() - begun < 30
    assert str(error.value).startswith(f"label.weights: {url}: ")
    assert str(error.value).endswith("; fetch it elsewhere and give its path")


@pytest.mark.parametrize("path", ["huge", "malformed", "dripping_headers", "forbidden"])
def test_a_url_whose_answer_cannot_be_the_file_is_known_before_any_compute(path, hostile, tmp_path):
    with pytest.raises(ConnectionError, match="fetch it elsewhere"):
        weights.reach("general-x4v3", f"{hostile[0]}/{path}", tmp_path)
    assert not list(tmp_path.glob("kept*"))


def test_a_url_is_asked_for_its_size_and_not_at_all_once_it_is_kept(released, served, tmp_path):
    url, asked = served
    assert weights.reach("general-x4v3", f"{url}/{released.name}", tmp_path / "kept") == released.stat().st_size
    weights.locate("general-x4v3", f"{url}/{released.name}", tmp_path / "kept")
    before = len(asked)
    assert weights.reach("general-x4v3", f"{url}/{released.name}", tmp_path / "kept") is None
    assert len(asked) == before


def test_a_url_that_does_not_answer_is_told_with_the_way_out(served, tmp_path):
    with pytest.raises(ConnectionError, match=r"nothing\.pth: download failed: HTTP 404 File not found; fetch it elsewhere"):
        weights.locate("x4plus", f"{served[0]}/nothing.pth", tmp_path / "kept")


def test_the_halves_and_the_bias_of_a_convolution_are_read_as_ncnn_stores_them(tmp_path):
    network = torch.nn.Conv2d(1, 1, kernel_size=(1, 3))  # three halves: two bytes of padding
    path = tmp_path / "one.bin"
    tag = weights.HALF.to_bytes(4, "little")
    path.write_bytes(tag + np.array([1, -2, 0.5, 0], "<f2").tobytes() + np.array([0.25], "<f4").tobytes())
    network.load_state_dict({key.lstrip("."): value for key, value in weights.from_ncnn(network, path).items()})
    assert network.weight.flatten().tolist() == [1, -2, 0.5]
    assert network.bias.tolist() == [0.25]
