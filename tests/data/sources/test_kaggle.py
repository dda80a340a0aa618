"""The real kagglehub client against a server on this machine that answers as Kaggle does."""

import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from kagglesdk import kaggle_env

from xraydenoise import contracts
from xraydenoise.data.sources import kaggle

PNEUMONIA = {
    "chest_xray/train/NORMAL/IM-0115-0001.jpeg": b"1",
    "chest_xray/train/NORMAL/NORMAL2-IM-0030-0001.jpeg": b"2",
    "chest_xray/train/PNEUMONIA/person3_bacteria_10.jpeg": b"3",
    "chest_xray/test/PNEUMONIA/person3_virus_16.jpeg": b"4",
    "chest_xray/val/NORMAL/NORMAL2-IM-1440-0001-0002.jpeg": b"5",
    "chest_xray/chest_xray/train/NORMAL/IM-0115-0001.jpeg": b"1",
    "chest_xray/chest_xray/test/PNEUMONIA/person3_virus_16.jpeg": b"4",
    "chest_xray/chest_xray/train/.DS_Store": b"",
    "chest_xray/__MACOSX/chest_xray/train/NORMAL/._IM-0115-0001.jpeg": b"",
    "chest_xray/__MACOSX/train/NORMAL/IM-0115-0001.jpeg": b"x",
}
CORONA = {
    "Chest_xray_Corona_Metadata.csv": (
        b",X_ray_image_name,Label,Dataset_type\n0,IM-0115-0001.jpeg,Normal,TRAIN\n1,nejmoa2001191_f1-PA.jpeg,Pnemonia,TRAIN\n"
    ),
    "Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset/train/IM-0115-0001.jpeg": b"1",
    "Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset/train/nejmoa2001191_f1-PA.jpeg": b"2",
}


class Kaggle:
    """What the server answers next, and what it was asked."""

    def __init__(self) -> None:
        self.states: list[int] = []  # HTTP states to fail with, one a request, before it succeeds
        self.asked: list[str] = []
        self.archive = b""

    def holds(self, files: dict[str, bytes]) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        self.archive = buffer.getvalue()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    kaggle_state = Kaggle()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kaggle_state.asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            if kaggle_state.states:
                self.send_response(kaggle_state.states.pop(0))
                self.send_header("Content-Length", "0")
            else:
                self.send_response(302)
                self.send_header("Location", f"http://{self.headers['Host']}/archive.zip")
                self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(kaggle_state.archive)))
            self.end_headers()
            self.wfile.write(kaggle_state.archive)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    loopback = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=loopback.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, f"http://127.0.0.1:{loopback.server_port}")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path))  # so that nobody's Kaggle token is sent to this server
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(kaggle, "WAITS", (0.01, 0.01))
    yield kaggle_state
    loopback.shutdown()
    thread.join()
    loopback.server_close()


def config(rule: str) -> kaggle.Config:
    return kaggle.Config.model_validate(
        {"kind": "kaggle", "path": "a", "handle": f"owner/{rule}", "version": 2, "rule": rule, "licence": "CC BY 4.0"}
    )


def fetch(rule: str, destination: Path) -> pd.DataFrame:
    return contracts.Downloads.validate(config(rule).fetch(destination))


def test_pneumonia_comes_with_patients_and_labels_and_without_second_copies(
    server: Kaggle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.holds(PNEUMONIA)
    files = fetch("pneumonia", tmp_path / "out").set_index("path")
    assert files["patient"].to_dict() == {
        "files/test/PNEUMONIA/person3_virus_16.jpeg": "person3",
        "files/train/NORMAL/IM-0115-0001.jpeg": "IM-0115",
        "files/train/NORMAL/NORMAL2-IM-0030-0001.jpeg": "NORMAL2-IM-0030",
        "files/train/PNEUMONIA/person3_bacteria_10.jpeg": "person3",
        "files/val/NORMAL/NORMAL2-IM-1440-0001-0002.jpeg": "NORMAL2-IM-1440",
    }
    assert list(files["label"]) == ["pneumonia", "normal", "normal", "pneumonia", "normal"]
    assert {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.jpeg")} == set(files.index)
    assert "2 files lie in the archive twice" in capsys.readouterr().out
    assert server.asked == ["/v1/datasets.DatasetApiService/DownloadDataset"]


def test_what_was_downloaded_is_not_asked_for_again(server: Kaggle, tmp_path: Path) -> None:
    server.holds(PNEUMONIA)
    first = fetch("pneumonia", tmp_path / "out")
    pd.testing.assert_frame_equal(fetch("pneumonia", tmp_path / "again"), first)
    assert len(server.asked) == 1


def test_two_files_of_one_name_that_differ_are_not_chosen_between(server: Kaggle, tmp_path: Path) -> None:
    server.holds(PNEUMONIA | {"chest_xray/chest_xray/train/NORMAL/IM-0115-0001.jpeg": b"other"})
    with pytest.raises(ValueError, match=r"IM-0115-0001\.jpeg: differs from .* download again"):
        fetch("pneumonia", tmp_path / "out")


def test_coronahack_takes_labels_from_its_table_and_patients_from_the_same_names(server: Kaggle, tmp_path: Path) -> None:
    server.holds(CORONA)
    known, other = fetch("coronahack", tmp_path / "out").to_dict("records")
    assert (known["path"], known["patient"], known["label"]) == ("files/train/IM-0115-0001.jpeg", "IM-0115", "normal")
    assert (other["label"], pd.isna(other["patient"])) == ("pneumonia", True)
    assert config("coronahack").family == config("pneumonia").family != ""


def test_a_table_and_files_that_disagree_are_told(server: Kaggle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.holds(CORONA | {"Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset/test/new.jpeg": b"3"})
    assert fetch("coronahack", tmp_path / "out")["label"].isna().sum() == 1
    assert "0 listed images are not in the archive, 1 images are not listed" in capsys.readouterr().out


@pytest.mark.parametrize("rule", ["pneumonia", "coronahack"])
def test_an_archive_of_another_layout_is_refused(rule: str, server: Kaggle, tmp_path: Path) -> None:
    server.holds({"data/a.jpeg": b"1"})
    with pytest.raises(ValueError, match=r"correct `rule`.* in params\.yaml"):
        fetch(rule, tmp_path / "out")


@pytest.mark.parametrize(
    ("state", "fault"),
    [(404, r"version 2: Kaggle knows no such dataset or version \(404\)"), (403, "answers 403; set KAGGLE_API_TOKEN")],
)
def test_a_refusal_is_one_clear_line_and_is_not_repeated(state: int, fault: str, server: Kaggle, tmp_path: Path) -> None:
    server.states = [state] * 5
    with pytest.raises(ConnectionError, match=fault) as caught:
        fetch("pneumonia", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert len(server.asked) == 1


def test_a_server_that_is_busy_for_a_moment_is_asked_again(server: Kaggle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.holds(PNEUMONIA)
    server.states = [503, 429]
    assert len(fetch("pneumonia", tmp_path / "out")) == 5
    assert len(server.asked) == 3
    assert "next attempt in" in capsys.readouterr().out


def test_a_server_that_stays_busy_ends_in_one_clear_line(server: Kaggle, tmp_path: Path) -> None:
    server.states = [503] * 3
    with pytest.raises(ConnectionError, match=r"^kaggle owner/pneumonia, version 2: download failed: .*503.*; run again later") as caught:
        fetch("pneumonia", tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("stem", "patient"),
    [
        ("person1000_bacteria_2931", "person1000"),
        ("person3_virus_16", "person3"),
        ("IM-0115-0001", "IM-0115"),
        ("IM-0667-0001-0002", "IM-0667"),
        ("NORMAL2-IM-0030-0001", "NORMAL2-IM-0030"),
        ("1-s2.0-S0140673620303706-fx1_lrg", None),
        ("person3", None),
    ],
)
def test_the_patient_stands_in_the_name(stem: str, patient: str | None) -> None:
    assert kaggle.patient(stem) == patient
