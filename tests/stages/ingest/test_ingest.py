import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from xraydenoise import contracts
from xraydenoise.data import prepare, store
from xraydenoise.data.decode import decode
from xraydenoise.data.picture import Refused
from xraydenoise.data.prepare import Prepared
from xraydenoise.data.sources import phantom, sample
from xraydenoise.stages import ingest

KILLED = """\
import os, pickle, signal, sys
from xraydenoise.data.journal import Journal
from xraydenoise.stages import ingest

def append(self, *row):
    if self.folder.joinpath("rows.jsonl").read_bytes().count(b"\\n") == 25:
        os.kill(os.getpid(), signal.SIGKILL)
    whole(self, *row)

whole, Journal.append = Journal.append, append
ingest.run(pickle.load(sys.stdin.buffer))
"""


def test_every_picture_stands_in_the_store_at_the_working_size(
    project: Any, chests: phantom.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    project.run(chests=chests)
    table = project.images()
    assert (len(table), table["patient"].nunique(), set(table["split"])) == (12, 6, {"train", "val", "test"})
    assert (table[["height", "width"]] == 64).all().all()
    pixels = store.open_store(Path("artifacts/tracks/noise/targets.npy"))
    assert pixels.size == 12 * 64 * 64
    for row in table.itertuples():
        native = decode(Path("data") / row.source / row.file, 1, voi=False).pixels
        means = cv2.resize(native.astype(np.float32) / 65535, (64, 64), interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(store.read(pixels, row.offset, row.height, row.width), means, atol=1e-5)
    assert project.quarantine().empty
    assert Path("artifacts/ingest/quarantine.md").read_text().startswith("# Quarantine\n\n0 of 12 files")
    assert "ingest: 12 pictures of 6 patients (train " in capsys.readouterr().out


def test_the_track_says_the_same_as_the_images(project: Any, chests: phantom.Config) -> None:
    project.run(chests=chests)
    track = contracts.read(Path("artifacts/tracks/noise/manifest.parquet"), contracts.Track)
    assert track["teaches"].all()  # the truth
    pd.testing.assert_frame_equal(track, project.images().assign(teaches=True)[list(track.columns)])


def test_the_same_data_give_the_same_bytes(project: Any, chests: phantom.Config) -> None:
    project.run(chests=chests)
    first = {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")}
    Path("artifacts/ingest/left_by_an_earlier_run").touch()
    project.run(chests=chests)
    assert {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")} == first
    assert len(first) == 9


def test_a_refused_file_is_told_counted_and_listed(project: Any, chests: phantom.Config, capsys: pytest.CaptureFixture[str]) -> None:
    Path("inbox/images/broken.png").write_text("no | image")
    Path("inbox/images/empty.jpg").touch()
    project.scan("whole", 0, "MRN0")
    project.scan("whole too", 1, "MRN1")
    project.run(chests=chests)
    assert project.quarantine()[["source", "file", "reason"]].to_numpy().tolist() == [
        ["inbox", "files/images/broken.png", "not_an_image"],
        ["inbox", "files/images/empty.jpg", "empty"],
    ]
    assert len(project.images()) == 14
    assert "2 of 16 files are in quarantine (1 empty, 1 not_an_image); see artifacts/ingest/quarantine.md" in capsys.readouterr().out
    assert "| inbox | files/images/empty.jpg | empty | 0 bytes |" in Path("artifacts/ingest/quarantine.md").read_text()


def test_too_many_bad_files_of_a_dataset_stop_the_stage_and_the_quarantine_says_which(project: Any, chests: phantom.Config) -> None:
    Path("inbox/images/broken.png").write_text("no image")
    for number in range(3):
        project.scan(f"{number}.dcm", number, f"MRN{number}")
    project.run(max_bad=0.25, chests=chests)
    with pytest.raises(
        ValueError,
        match=r"1 of 4 files of inbox are unusable, .*max_bad allows a share of 0\.2; .* the first is files/images/broken\.png",
    ):
        project.run(max_bad=0.2, chests=chests)
    assert len(project.quarantine()) == 1
    assert not Path("artifacts/ingest/manifest.parquet").exists()


def test_copies_do_not_make_the_share_of_bad_files_smaller(project: Any, chests: phantom.Config) -> None:
    Path("inbox/images/broken.png").write_text("no image")
    for number in range(4):
        project.scan(f"{number}.dcm", number % 2, f"MRN{number % 2}")
    with pytest.raises(ValueError, match="1 of 3 files of inbox are unusable"):
        project.run(max_bad=0.3, chests=chests)


@pytest.mark.parametrize("others", [False, True])
def test_a_dataset_whose_files_are_all_bad_stops_the_stage_whatever_is_allowed(project: Any, chests: phantom.Config, others: bool) -> None:
    Path("inbox/images/broken.png").write_text("no image")
    with pytest.raises(
        ValueError, match=r"none of the 1 files of inbox is a usable picture; .*out of datasets .* first is files/images/broken\.png \("
    ):
        project.run(max_bad=1, **({"chests": chests} if others else {}))


def test_a_cds_directory_and_reports_are_told_and_are_not_bad(
    project: Any, chests: phantom.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        project.scan(f"{number}.dcm", number, f"MRN{number}")
    for number in range(2):
        project.document(f"report{number}")
    project.run(max_bad=0, chests=chests)
    assert list(project.quarantine()["reason"]) == ["no_picture", "no_picture"]
    assert "2 of 17 files are in quarantine (2 no_picture)" in capsys.readouterr().out


def test_a_dataset_of_reports_alone_stops_the_stage(project: Any, chests: phantom.Config) -> None:
    project.document("report")
    with pytest.raises(
        ValueError, match=r"none of the 1 files of inbox is a usable picture; .* first is files/images/report \(no_picture: "
    ):
        project.run(chests=chests)


def test_no_image_at_all_is_refused_with_the_way_out(project: Any) -> None:
    with pytest.raises(ValueError, match="no image in inbox; put images into inbox/images, or name another dataset"):
        project.run()


def test_fewer_than_three_patients_are_refused(project: Any, chests: phantom.Config) -> None:
    with pytest.raises(ValueError, match="found 2 patients"):
        project.run(chests=chests.model_copy(update={"patients": 2}))


def test_a_file_that_could_not_be_fetched_is_in_quarantine_under_its_own_reason(project: Any, chests: phantom.Config) -> None:
    Path("inbox/images/gone.png").symlink_to("nothing")
    project.scan("whole", 0, "MRN0")
    project.run(chests=chests)
    assert project.quarantine().to_numpy().tolist() == [["inbox", "files/images/gone.png", "broken_link", "is a link to nothing: nothing"]]
    assert "| inbox | files/images/gone.png | broken_link |" in Path("artifacts/ingest/quarantine.md").read_text()


def test_the_card_describes_every_dataset(project: Any, chests: phantom.Config) -> None:
    project.run(chests=chests)
    card = json.loads(Path("artifacts/ingest/card.json").read_text())
    assert (card["pictures"], card["patients"], set(card["datasets"])) == (12, 6, {"chests"})
    assert card["datasets"]["chests"]["views"] == {"chest phantom": 12}
    assert card["datasets"]["chests"]["origin"] == ["phantom, seed 1"]
    assert "## chests" in Path("artifacts/ingest/card.md").read_text()


def test_a_killed_run_goes_on_where_it_was_to_the_same_bytes(
    project: Any, chests: phantom.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = project.params(chests=chests.model_copy(update={"patients": 20}))
    Path("inbox/images/broken.png").write_text("no image")
    project.scan("whole", 0, "MRN0")
    project.run(chests=chosen.datasets["chests"])
    whole = {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")}

    ended = subprocess.run([sys.executable, "-c", KILLED], input=pickle.dumps(chosen), check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not Path("artifacts/ingest/manifest.parquet").exists()
    ingest.run(chosen)
    assert "ingest: goes on after 25 of 42 files" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")} == whole
    assert not Path("work/ingest").exists()


def test_after_a_refused_seed_nothing_is_decoded_again(project: Any, chests: phantom.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="would have no patient"):
        project.run(chests=chests, seed=7)
    monkeypatch.setattr(prepare, "stream", lambda paths, *_: (pytest.fail("decoded again") for _ in paths))
    ingest.run(project.params(chests=chests, seed=3))
    assert len(project.images()) == 12


def test_a_folder_that_an_earlier_profile_left_is_ignored_aloud(
    project: Any, chests: phantom.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    project.run(chests=chests, old=chests.model_copy(update={"seed": 2}))
    ingest.run(project.params(chests=chests))
    assert len(project.images()) == 12
    assert "ingest: data/old is ignored: no dataset in params.yaml has this name" in capsys.readouterr().out


def test_a_dataset_that_was_not_downloaded_stops_the_stage(project: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"data/inbox/manifest\.parquet: not there; run the stage"):
        ingest.run(project.params())


def test_the_sample_trains_on_a_mammogram_patient_and_tests_on_another(project: Any) -> None:
    project.run(sample=sample.Config(kind="sample", path=Path("a")), seed=3)
    table = project.images()
    split = table.groupby("patient")["split"].first().to_dict()
    assert split == {"sample:RG1": "train", "sample:P_00820": "train", "sample:RG3": "val", "sample:P_00173": "test"}
    assert (len(table), project.quarantine().empty, list(table["bits"].unique())) == (10, True, [15, 10, 16])
    assert table["native_height"].max() == 4736
    assert set(table["view"]) >= {"chest PA", "lower leg R AP", "breast L CC"}


def test_what_crashed_or_took_too_long_is_tried_again_by_the_next_run(
    project: Any, chests: phantom.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.run(chests=chests)
    whole = {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")}
    stream = prepare.stream

    def sick(*arguments: Any) -> Iterator[Prepared | Refused]:
        for number, found in enumerate(stream(*arguments)):
            yield Refused({4: "timeout", 7: "crash"}[number], "") if number in (4, 7) else found

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "stream", sick)
        with pytest.raises(
            ValueError,
            match=r"2 of 12 files of chests are .*; what crashed or took too long is tried again by the next run",
        ):
            ingest.run(project.params(max_bad=0.1, chests=chests))
    ingest.run(project.params(max_bad=0.1, chests=chests))
    assert {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")} == whole


def test_a_file_that_found_no_memory_stops_the_stage_since_dvc_would_never_ask_again(
    project: Any, chests: phantom.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = prepare.stream

    def starved(*arguments: Any) -> Iterator[Prepared | Refused]:
        for number, found in enumerate(stream(*arguments)):
            yield Refused("memory", "takes more memory than there is now") if number == 4 else found

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "stream", starved)
        with pytest.raises(
            ValueError, match=r"1 files found no memory, the first is files/p0002_000\.png .*goes on where it was, or lower"
        ):
            project.run(max_bad=1.0, chests=chests)
    ingest.run(project.params(chests=chests))
    assert len(project.images()) == 12


def test_a_journal_is_of_no_use_once_a_file_has_other_content_of_the_same_length_and_date(
    project: Any, chests: phantom.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC hashes what a file holds, and not when it was written."""
    project.run(chests=chests)
    files, params = ingest.listed(project.params(chests=chests)), project.params(chests=chests)
    before = ingest.key(files, params)
    path = ingest.path_of(next(ingest.records(files)))
    content, about = path.read_bytes(), path.stat()
    os.utime(path, ns=(0, 0))
    assert ingest.key(files, params) == before
    path.write_bytes(content[:-1] + b"x")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert ingest.key(files, params) != before
