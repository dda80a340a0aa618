import functools
import http.server
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

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
    assert "download general-x4v3" in capsys.readouterr().err
    assert weights.locate("general-x4v3", f"{url}/{released.name}", tmp_path / "kept") == first
    assert len(asked) == 1
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [first.name]


def test_a_url_with_other_content_is_refused_and_not_kept(released, served, tmp_path):
    (tmp_path / "other.pth").write_bytes(b"other")
    with pytest.raises(ValueError, match="sha256"):
        weights.locate("general-x4v3", f"{served[0]}/other.pth", tmp_path / "kept")
    assert not list((tmp_path / "kept").glob("*.pth"))


def test_a_url_that_does_not_answer_is_told_with_the_way_out(served, tmp_path):
    with pytest.raises(ConnectionError, match=r"nothing\.pth: File not found; fetch it elsewhere"):
        weights.locate("x4plus", f"{served[0]}/nothing.pth", tmp_path / "kept")


def test_the_halves_and_the_bias_of_a_convolution_are_read_as_ncnn_stores_them(tmp_path):
    network = torch.nn.Conv2d(1, 1, kernel_size=(1, 3))  # three halves: two bytes of padding
    path = tmp_path / "one.bin"
    tag = weights.HALF.to_bytes(4, "little")
    path.write_bytes(tag + np.array([1, -2, 0.5, 0], "<f2").tobytes() + np.array([0.25], "<f4").tobytes())
    network.load_state_dict({key.lstrip("."): value for key, value in weights.from_ncnn(network, path).items()})
    assert network.weight.flatten().tolist() == [1, -2, 0.5]
    assert network.bias.tolist() == [0.25]
