import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from xraydenoise import contracts
from xraydenoise.data import prepare, sources, splits, store
from xraydenoise.data.decode import decode
from xraydenoise.data.journal import Journal
from xraydenoise.data.picture import Refused
from xraydenoise.data.prepare import IngestConfig, Prepared, SplitConfig
from xraydenoise.data.sources import folder, phantom, sample
from xraydenoise.params import MachineConfig, Params
from xraydenoise.stages import download, ingest

CHESTS = phantom.Config(kind="phantom", path=Path("a"), patients=6, images_per_patient=2, size=96, seed=1)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with an empty inbox."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox/images").mkdir(parents=True)
    return tmp_path


def params(max_bad: float = 0.5, seed: int = 3, **datasets: object) -> Params:
    config = IngestConfig(size=64, max_megapixels=64, voi=False, max_bad=max_bad, split=SplitConfig(train=0.6, val=0.2, test=0.2))
    inbox = folder.Config(kind="folder", path=Path("inbox"))
    return Params.model_construct(
        seed=seed, machine=MachineConfig(device="cpu", threads=2), datasets={**datasets, "inbox": inbox}, ingest=config
    )


def run(chosen: Params) -> None:
    """Download every dataset and hand it over as data.dvc does, then ingest."""
    for name in chosen.datasets:
        download.run(chosen, name)
    shutil.rmtree("data", ignore_errors=True)
    shutil.copytree("downloads", "data")
    ingest.run(chosen)


def images() -> pd.DataFrame:
    return contracts.read(Path("artifacts/ingest/manifest.parquet"), contracts.Images)


def quarantine() -> pd.DataFrame:
    return contracts.read(Path("artifacts/ingest/quarantine.parquet"), contracts.Quarantine)


def test_every_picture_stands_in_the_store_at_the_working_size(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(params(chests=CHESTS))
    table = images()
    assert (len(table), table["patient"].nunique(), set(table["split"])) == (12, 6, {"train", "val", "test"})
    assert (table[["height", "width"]] == 64).all().all()
    pixels = store.open_store(Path("artifacts/tracks/noise/targets.npy"))
    assert pixels.size == 12 * 64 * 64
    for row in table.itertuples():
        native = decode(Path("data") / row.source / row.file, 1, voi=False).pixels
        means = cv2.resize(native.astype(np.float32) / 65535, (64, 64), interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(store.read(pixels, row.offset, row.height, row.width), means, atol=1e-5)
    assert quarantine().empty
    assert Path("artifacts/ingest/quarantine.md").read_text().startswith("# Quarantine\n\n0 of 12 files")
    assert "ingest: 12 pictures of 6 patients (train " in capsys.readouterr().out


def test_the_track_says_the_same_as_the_images(project: Path) -> None:
    run(params(chests=CHESTS))
    track = contracts.read(Path("artifacts/tracks/noise/manifest.parquet"), contracts.Track)
    pd.testing.assert_frame_equal(track, images()[list(track.columns)])


def test_the_same_data_give_the_same_bytes(project: Path) -> None:
    run(params(chests=CHESTS))
    first = {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")}
    Path("artifacts/ingest/left_by_an_earlier_run").touch()
    run(params(chests=CHESTS))
    assert {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")} == first
    assert len(first) == 8


def test_a_refused_file_is_told_counted_and_listed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("inbox/images/broken.png").write_text("no | image")
    Path("inbox/images/empty.jpg").touch()
    run(params(chests=CHESTS))
    assert quarantine()[["source", "file", "reason"]].to_numpy().tolist() == [
        ["inbox", "files/images/broken.png", "not_an_image"],
        ["inbox", "files/images/empty.jpg", "empty"],
    ]
    assert len(images()) == 12
    assert "2 of 14 files are in quarantine (1 empty, 1 not_an_image); see artifacts/ingest/quarantine.md" in capsys.readouterr().out
    assert "| inbox | files/images/empty.jpg | empty | 0 bytes |" in Path("artifacts/ingest/quarantine.md").read_text()


def test_too_many_bad_files_stop_the_stage_and_the_quarantine_says_which(project: Path) -> None:
    Path("inbox/images/broken.png").write_text("no image")
    with pytest.raises(
        ValueError, match=r"1 of 13 files are unusable, .*max_bad allows a share of 0\.05; the first is files/images/broken\.png"
    ):
        run(params(max_bad=0.05, chests=CHESTS))
    assert len(quarantine()) == 1
    assert not Path("artifacts/ingest/manifest.parquet").exists()


def test_files_that_are_all_bad_stop_the_stage_whatever_is_allowed(project: Path) -> None:
    Path("inbox/images/broken.png").write_text("no image")
    with pytest.raises(ValueError, match="1 of 1 files are unusable"):
        run(params(max_bad=1))


def test_no_image_at_all_is_refused_with_the_way_out(project: Path) -> None:
    with pytest.raises(ValueError, match="no image in inbox; put images into inbox/images, or name another dataset"):
        run(params())


def test_fewer_than_three_patients_are_refused(project: Path) -> None:
    with pytest.raises(ValueError, match="found 2 patients"):
        run(params(chests=CHESTS.model_copy(update={"patients": 2})))


def test_a_picture_that_two_patients_share_is_kept_once_and_joins_them(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(params(chests=CHESTS))
    before = images()
    first, second = Path("data/chests/files/p0001_000.png"), Path("data/chests/files/p0004_001.png")
    shutil.copyfile(first, "inbox/images/x.png")
    shutil.copyfile(second, "inbox/images/y.png")
    Path("inbox/images/images.csv").write_text("file,patient_id\nx.png,P9\ny.png,P9\n")
    run(params(max_bad=0, chests=CHESTS))  # a duplicate is not bad
    after = images()
    assert list(after["image"]) == list(before["image"])
    assert set(after.loc[after["file"].isin(["files/p0001_000.png", "files/p0004_001.png"]), "patient"]) == {"chests:p0001"}
    assert after.loc[after["patient"] == "chests:p0001", "split"].nunique() == 1
    assert list(quarantine()["reason"]) == ["duplicate", "duplicate"]
    assert quarantine()["detail"][0] == "the same picture as files/p0001_000.png of chests"
    assert "2 of 14 files are in quarantine (2 duplicate)" in capsys.readouterr().out


def test_a_file_without_a_patient_counts_as_its_own_and_this_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a/1", "b/1", "b/2"):
        path = Path("inbox/images") / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.random.default_rng(len(name) + ord(name[0]) + ord(name[2])).integers(0, 255, (80, 80), dtype=np.uint8))
    run(params(seed=4))
    assert sorted(images()["patient"]) == ["inbox:files/images/a/1", "inbox:files/images/b/1", "inbox:files/images/b/2"]
    assert "3 files name no patient, so each counts as its own; an images.csv" in capsys.readouterr().out


def test_patients_of_one_name_in_two_datasets_are_two(project: Path) -> None:
    run(params(chests=CHESTS, others=CHESTS.model_copy(update={"seed": 2})))
    assert images()["patient"].nunique() == 12


def test_an_altered_copy_under_another_name_joins_its_patients(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(params(chests=CHESTS))
    source = cv2.imread("data/chests/files/p0001_000.png", cv2.IMREAD_GRAYSCALE)
    cv2.imwrite("inbox/images/x.jpg", cv2.resize(source, (72, 72), interpolation=cv2.INTER_AREA)[:, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    Path("inbox/images/images.csv").write_text("file,patient_id\nx.jpg,P9\n")
    run(params(chests=CHESTS))
    proof = json.loads(Path("artifacts/ingest/leakage.json").read_text())
    assert [(pair["how"], pair["turn"], pair["first"], pair["second"]) for pair in proof["pairs"]] == [
        ("perceptual", "mirrored", "chests/files/p0001_000.png", "inbox/files/images/x.jpg")
    ]
    assert proof["leaks"] == []
    assert [group["patients"] for group in proof["joined"]] == [["chests:p0001", "inbox:P9"]]
    table = images().set_index("file")
    assert len(table) == 13
    assert table.loc["files/images/x.jpg", "split"] == table.loc["files/p0001_000.png", "split"]
    assert "1 altered ones joined, 1 groups of several patients" in capsys.readouterr().out


def test_the_proof_names_the_test_set_and_the_most_alike_pair_across_splits(project: Path) -> None:
    run(params(chests=CHESTS))
    proof = json.loads(Path("artifacts/ingest/leakage.json").read_text())
    tested = images().query("split == 'test'")
    assert proof["splits"]["test"] == {
        "pictures": len(tested),
        "patients": tested["patient"].nunique(),
        "identity": splits.identity(tested["image"]),
    }
    first = proof["nearest_across_splits"][0]
    assert 0 < first["similarity"] < proof["threshold"]
    assert len(set(first["splits"].split(", "))) == 2


def test_a_leak_stops_the_stage_and_is_written_down(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(params(chests=CHESTS))
    trained, tested = (images().query(f"split == '{split}'").iloc[0] for split in ("train", "test"))
    manifest = Path("data/inbox/manifest.parquet")
    Path("data/inbox/files").mkdir()
    shutil.copyfile(Path("data/chests") / trained["file"], "data/inbox/files/copy.png")
    copy = sources.Row("files/copy.png", tested["patient"], None, None, "CC0", "planted")
    contracts.write(sources.listing([copy]), manifest, contracts.Downloads)
    monkeypatch.setattr(splits, "join", lambda pairs: {patient: patient for pair in pairs for patient in pair})  # a fault: nobody is joined
    with pytest.raises(ValueError, match=r"1 leaks between splits, the first: chests/files/.* are the same picture \(exact\) and stand in"):
        ingest.run(params(chests=CHESTS))
    assert len(json.loads(Path("artifacts/ingest/leakage.json").read_text())["leaks"]) == 1


def test_a_file_that_could_not_be_fetched_is_in_quarantine_under_its_own_reason(project: Path) -> None:
    Path("inbox/images/gone.png").symlink_to("nothing")
    run(params(chests=CHESTS))
    assert quarantine().to_numpy().tolist() == [["inbox", "files/images/gone.png", "broken_link", "is a link to nothing: nothing"]]
    assert "| inbox | files/images/gone.png | broken_link |" in Path("artifacts/ingest/quarantine.md").read_text()


def test_the_card_describes_every_dataset(project: Path) -> None:
    run(params(chests=CHESTS))
    card = json.loads(Path("artifacts/ingest/card.json").read_text())
    assert (card["pictures"], card["patients"], set(card["datasets"])) == (12, 6, {"chests"})
    assert card["datasets"]["chests"]["views"] == {"chest phantom": 12}
    assert card["datasets"]["chests"]["origin"] == ["phantom, seed 1"]
    assert "## chests" in Path("artifacts/ingest/card.md").read_text()


def test_a_killed_run_goes_on_where_it_was_to_the_same_bytes(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = params(chests=CHESTS.model_copy(update={"patients": 20}))
    Path("inbox/images/broken.png").write_text("no image")
    run(chosen)
    whole = {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")}

    def killed(self: Journal, *row: object) -> None:
        if self.folder.joinpath("rows.jsonl").read_bytes().count(b"\n") == 25:
            os.kill(os.getpid(), signal.SIGKILL)
        append(self, *row)

    append = Journal.append
    monkeypatch.setattr(Journal, "append", killed)
    if (child := os.fork()) == 0:
        ingest.run(chosen)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    monkeypatch.setattr(Journal, "append", append)
    assert not Path("artifacts/ingest/manifest.parquet").exists()
    ingest.run(chosen)
    assert "ingest: goes on after 25 of 41 files" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")} == whole
    assert not Path("work/ingest").exists()


def test_after_a_refused_seed_nothing_is_decoded_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="would have no patient"):
        run(params(chests=CHESTS, seed=7))
    monkeypatch.setattr(prepare, "stream", lambda *_: pytest.fail("decoded again"))
    ingest.run(params(chests=CHESTS, seed=3))
    assert len(images()) == 12


def test_a_folder_that_an_earlier_profile_left_is_ignored_aloud(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(params(chests=CHESTS, old=CHESTS.model_copy(update={"seed": 2})))
    ingest.run(params(chests=CHESTS))
    assert len(images()) == 12
    assert "ingest: data/old is ignored: no dataset in params.yaml has this name" in capsys.readouterr().out


def test_a_dataset_that_was_not_downloaded_stops_the_stage(project: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data/inbox/manifest\.parquet: not there; run the stage"):
        ingest.run(params())


def test_the_sample_trains_on_a_mammogram_patient_and_tests_on_another(project: Path) -> None:
    run(params(sample=sample.Config(kind="sample", path=Path("a")), seed=3))
    table = images()
    split = table.groupby("patient")["split"].first().to_dict()
    assert split == {"sample:RG1": "train", "sample:P_00820": "train", "sample:RG3": "val", "sample:P_00173": "test"}
    assert (len(table), quarantine().empty, list(table["bits"].unique())) == (10, True, [15, 10, 16])
    assert table["native_height"].max() == 4736
    assert set(table["view"]) >= {"chest PA", "lower leg R AP", "breast L CC"}


def scan(name: str, number: int, patient: str) -> None:
    """A radiograph of its own in the inbox, whose header names `patient`."""
    path = Path("inbox/images") / name
    path.parent.mkdir(exist_ok=True)
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    header.PatientID, header.Rows, header.Columns, header.SamplesPerPixel = patient, 96, 96, 1
    header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelData = np.rint(phantom.draw(96, 77, number, 0) * 65535).astype("<u2").tobytes()
    header.save_as(path, enforce_file_format=True)


def test_a_table_that_names_some_files_of_a_dicom_patient_does_not_tear_the_patient_apart(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(16):
        scan(f"{'left' if number % 2 else 'right'}/{number // 2}.dcm", number, f"MRN{number // 2}")
    rows = [f"{number}.dcm,P{number}\n" for number in range(8)]
    Path("inbox/images/right/images.csv").write_text("file,patient_id\n" + "".join(rows))
    run(params(chests=CHESTS))
    table = images().query("source == 'inbox'")
    assert (table["patient"].nunique(), table["dicom_patient"].nunique()) == (8, 8)
    assert (table.groupby("dicom_patient")["patient"].nunique() == 1).all()
    proof = json.loads(Path("artifacts/ingest/leakage.json").read_text())
    assert proof["leaks"] == []
    pairs = {(pair["first"], pair["second"]): pair for pair in proof["pairs"]}
    pair = pairs["inbox/files/images/left/0.dcm", "inbox/files/images/right/0.dcm"]
    assert (len(pairs), pair["how"], pair["similarity"], pair["second_patient"]) == (8, "patient_id", None, "inbox:P0")
    assert sorted(len(group["patients"]) for group in proof["joined"]) == [2] * 8
    assert "8 patients are joined to others of the same DICOM PatientID, though images.csv names them apart" in capsys.readouterr().out


def test_two_patients_of_a_table_whose_files_are_one_dicom_patients_are_one(project: Path) -> None:
    for number in range(2):
        scan(f"{number}.dcm", number, "MRN")
    scan("2.dcm", 2, "other")
    Path("inbox/images/images.csv").write_text("file,patient_id\n0.dcm,P0\n1.dcm,P1\n2.dcm,P2\n")
    run(params(chests=CHESTS))
    assert sorted(images().query("source == 'inbox'")["patient"]) == ["inbox:P0", "inbox:P0", "inbox:P2"]


def test_a_table_that_names_every_file_of_a_dicom_patient_alike_moves_nobody(project: Path) -> None:
    for number in range(8):
        scan(f"{number}.dcm", number, f"MRN{number}")
    Path("inbox/images/images.csv").write_text("file,patient_id\n" + "".join(f"{number}.dcm,P{number}\n" for number in range(8)))
    run(params(chests=CHESTS))
    table = images().query("source == 'inbox'")
    alone = splits.assign({patient: patient for patient in images()["patient"]}, 3, params().ingest.split.model_dump())
    assert list(table["split"]) == [alone[f"inbox:P{number}"] for number in range(8)]
    assert json.loads(Path("artifacts/ingest/leakage.json").read_text())["pairs"] == []


def test_files_without_a_patient_that_are_named_by_a_uid_are_not_one_patient(project: Path) -> None:
    for number in range(3):
        scan(f"1.3.6.1.4.1.14519.{number}", number, "")
    run(params(chests=CHESTS))
    assert images().query("source == 'inbox'")["patient"].nunique() == 3


def test_what_an_exact_copy_tells_completes_the_picture_and_contradicting_labels_leave_none(project: Path) -> None:
    for number in range(3):
        pixels = np.rint(phantom.draw(96, 77, number, 0) * 65535).astype(np.uint16)
        for copy in "ab":
            cv2.imwrite(f"inbox/images/{copy}{number}.png", pixels)
    rows = [
        "a0.png,,,",
        "b0.png,ANNA,chest PA,pneumonia",
        "a1.png,BOB,,normal",
        "b1.png,BOB,,pneumonia",
        "a2.png,EVE,,normal",
        "b2.png,EVE,,",
    ]
    Path("inbox/images/images.csv").write_text("file,patient_id,view,label\n" + "\n".join(rows) + "\n")
    run(params(chests=CHESTS))
    table = images().query("source == 'inbox'").set_index("file")
    assert list(table["label"].fillna("none")) == ["pneumonia", "none", "normal"]
    assert (table["view"].iloc[0], table["patient"].iloc[0], bool(table["named"].iloc[0])) == ("chest PA", "inbox:ANNA", True)
    told = dict(quarantine()[["file", "detail"]].to_numpy().tolist())
    assert told["files/images/b1.png"].endswith("a1.png of inbox; the copies are labelled normal, pneumonia, so the picture has no label")
    assert sum("labelled" in detail for detail in told.values()) == 1


def test_what_crashed_or_took_too_long_is_tried_again_by_the_next_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(params(chests=CHESTS))
    whole = {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")}
    stream = prepare.stream

    def sick(*arguments: Any) -> Iterator[Prepared | Refused]:
        for number, found in enumerate(stream(*arguments)):
            yield Refused({4: "timeout", 7: "crash"}[number], "") if number in (4, 7) else found

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "stream", sick)
        with pytest.raises(
            ValueError,
            match=r"2 of 12 files are unusable, .*; what crashed, took too long or found no memory is tried again by the next run",
        ):
            ingest.run(params(max_bad=0.1, chests=CHESTS))
    ingest.run(params(max_bad=0.1, chests=CHESTS))
    assert {path: path.read_bytes() for path in Path("artifacts").rglob("*.*")} == whole
