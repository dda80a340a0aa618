"""Who is one patient, and which pictures are one: across files, headers, tables and datasets."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from xraydenoise import contracts
from xraydenoise.data import sources, splits
from xraydenoise.data.sources import phantom
from xraydenoise.stages import ingest


def test_a_picture_that_two_patients_share_is_kept_once_and_joins_them(
    project: Any, chests: phantom.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    project.run(chests=chests)
    before = project.images()
    first, second = Path("data/chests/files/p0001_000.png"), Path("data/chests/files/p0004_001.png")
    shutil.copyfile(first, "inbox/images/x.png")
    shutil.copyfile(second, "inbox/images/y.png")
    Path("inbox/images/images.csv").write_text("file,patient_id\nx.png,P9\ny.png,P9\n")
    project.run(max_bad=0, chests=chests)  # a duplicate is not bad, and a dataset of nothing else no fault
    after = project.images()
    assert list(after["image"]) == list(before["image"])
    assert set(after.loc[after["file"].isin(["files/p0001_000.png", "files/p0004_001.png"]), "patient"]) == {"chests:p0001"}
    assert after.loc[after["patient"] == "chests:p0001", "split"].nunique() == 1
    assert list(project.quarantine()["reason"]) == ["duplicate", "duplicate"]
    assert project.quarantine()["detail"][0] == "the same picture as files/p0001_000.png of chests"
    assert "2 of 14 files are in quarantine (2 duplicate)" in capsys.readouterr().out


def test_a_file_without_a_patient_counts_as_its_own_and_this_is_said(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a/1", "b/1", "b/2"):
        path = Path("inbox/images") / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.random.default_rng(len(name) + ord(name[0]) + ord(name[2])).integers(0, 255, (80, 80), dtype=np.uint8))
    project.run(seed=15)
    assert list(project.images()["patient"]) == [f"picture-{image}" for image in project.images()["image"]]
    assert "3 files name no patient, so each counts as its own; an images.csv" in capsys.readouterr().out


def test_a_file_without_a_patient_stays_in_its_split_when_it_is_moved_or_renamed(project: Any, chests: phantom.Config) -> None:
    for number in range(8):
        project.scan(f"{number}.dcm", number, "")
    project.run(chests=chests)
    before = project.images().set_index("image")["split"]
    Path("inbox/images").rename("inbox/moved")
    Path("inbox/images").mkdir()
    Path("inbox/moved").rename("inbox/images/2026")
    for number in range(8):
        Path(f"inbox/images/2026/{number}.dcm").rename(f"inbox/images/2026/chest{number}")
    project.run(chests=chests)
    assert project.images().set_index("image")["split"].to_dict() == before.to_dict()


def test_patients_of_one_name_in_two_datasets_are_two(project: Any, chests: phantom.Config) -> None:
    project.run(chests=chests, others=chests.model_copy(update={"seed": 2}))
    assert project.images()["patient"].nunique() == 12


def test_an_altered_copy_under_another_name_joins_its_patients(
    project: Any, chests: phantom.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    project.run(chests=chests)
    source = cv2.imread("data/chests/files/p0001_000.png", cv2.IMREAD_GRAYSCALE)
    cv2.imwrite("inbox/images/x.jpg", cv2.resize(source, (72, 72), interpolation=cv2.INTER_AREA)[:, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])
    Path("inbox/images/images.csv").write_text("file,patient_id\nx.jpg,P9\n")
    project.run(chests=chests)
    proof = json.loads(Path("artifacts/ingest/leakage.json").read_text())
    assert [(pair["how"], pair["turn"], pair["first"], pair["second"]) for pair in proof["pairs"]] == [
        ("perceptual", "mirrored", "chests/files/p0001_000.png", "inbox/files/images/x.jpg")
    ]
    assert proof["leaks"] == []
    assert [group["patients"] for group in proof["joined"]] == [["chests:p0001", "inbox:P9"]]
    table = project.images().set_index("file")
    assert len(table) == 13
    assert table.loc["files/images/x.jpg", "split"] == table.loc["files/p0001_000.png", "split"]
    assert "1 altered ones joined, 1 groups of several patients" in capsys.readouterr().out


def test_the_proof_names_the_test_set_and_the_most_alike_pair_across_splits(project: Any, chests: phantom.Config) -> None:
    project.run(chests=chests)
    proof = json.loads(Path("artifacts/ingest/leakage.json").read_text())
    tested = project.images().query("split == 'test'")
    assert proof["splits"]["test"] == {
        "pictures": len(tested),
        "patients": tested["patient"].nunique(),
        "identity": splits.identity(tested["image"]),
    }
    assert proof["too_flat_to_compare"] == 0
    first = proof["nearest_across_splits"][0]
    assert 0 < first["similarity"] < proof["threshold"]
    assert len(set(first["splits"].split(", "))) == 2


def test_a_leak_stops_the_stage_and_is_written_down(project: Any, chests: phantom.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run(chests=chests)
    trained, tested = (project.images().query(f"split == '{split}'").iloc[0] for split in ("train", "test"))
    manifest = Path("data/inbox/manifest.parquet")
    Path("data/inbox/files").mkdir()
    shutil.copyfile(Path("data/chests") / trained["file"], "data/inbox/files/copy.png")
    copy = sources.Row("files/copy.png", tested["patient"], None, None, "CC0", "planted")
    contracts.write(sources.listing([copy]), manifest, contracts.Downloads)
    monkeypatch.setattr(splits, "join", lambda pairs: {patient: patient for pair in pairs for patient in pair})  # a fault: nobody is joined
    with pytest.raises(ValueError, match=r"1 leaks between splits, the first: chests/files/.* are the same picture \(exact\) and stand in"):
        ingest.run(project.params(chests=chests))
    assert len(json.loads(Path("artifacts/ingest/leakage.json").read_text())["leaks"]) == 1


def test_a_table_that_names_some_files_of_a_dicom_patient_does_not_tear_the_patient_apart(
    project: Any, chests: phantom.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(16):
        project.scan(f"{'left' if number % 2 else 'right'}/{number // 2}.dcm", number, f"MRN{number // 2}")
    rows = [f"{number}.dcm,P{number}\n" for number in range(8)]
    Path("inbox/images/right/images.csv").write_text("file,patient_id\n" + "".join(rows))
    project.run(chests=chests)
    table = project.images().query("source == 'inbox'")
    assert (table["patient"].nunique(), table["dicom_patient"].nunique()) == (8, 8)
    assert (table.groupby("dicom_patient")["patient"].nunique() == 1).all()
    proof = json.loads(Path("artifacts/ingest/leakage.json").read_text())
    assert proof["leaks"] == []
    pairs = {(pair["first"], pair["second"]): pair for pair in proof["pairs"]}
    pair = pairs["inbox/files/images/left/0.dcm", "inbox/files/images/right/0.dcm"]
    assert (len(pairs), pair["how"], pair["similarity"], pair["second_patient"]) == (8, "patient_id", None, "inbox:P0")
    assert sorted(len(group["patients"]) for group in proof["joined"]) == [2] * 8
    assert "8 patients are joined to others of the same DICOM PatientID, though images.csv names them apart" in capsys.readouterr().out


def test_two_patients_of_a_table_whose_files_are_one_dicom_patients_are_one(project: Any, chests: phantom.Config) -> None:
    for number in range(2):
        project.scan(f"{number}.dcm", number, "MRN")
    project.scan("2.dcm", 2, "other")
    Path("inbox/images/images.csv").write_text("file,patient_id\n0.dcm,P0\n1.dcm,P1\n2.dcm,P2\n")
    project.run(chests=chests)
    assert sorted(project.images().query("source == 'inbox'")["patient"]) == ["inbox:P0", "inbox:P0", "inbox:P2"]


def test_a_table_that_comes_later_and_names_every_dicom_patient_anew_moves_nobody(project: Any, chests: phantom.Config) -> None:
    for number in range(12):
        project.scan(f"{number}.dcm", number, f"MRN{number}")
    project.run(chests=chests)
    before = project.images()
    Path("inbox/images/images.csv").write_text("file,patient_id\n" + "".join(f"{number}.dcm,P{number}\n" for number in range(12)))
    project.run(chests=chests)
    after = project.images()
    assert list(after["split"]) == list(before["split"])
    assert set(after.query("source == 'inbox'")["patient"]) == {f"inbox:P{number}" for number in range(12)}
    assert json.loads(Path("artifacts/ingest/leakage.json").read_text())["pairs"] == []


def test_a_table_that_comes_later_and_joins_dicom_patients_moves_nobody_towards_test(project: Any, chests: phantom.Config) -> None:
    for number in range(12):
        project.scan(f"{number}.dcm", number, f"MRN{number}")
    project.run(chests=chests)
    before = [contracts.SPLITS.index(split) for split in project.images()["split"]]
    Path("inbox/images/images.csv").write_text("file,patient_id\n" + "".join(f"{number}.dcm,P{number // 2}\n" for number in range(12)))
    project.run(chests=chests)
    after = [contracts.SPLITS.index(split) for split in project.images()["split"]]
    assert all(new <= old for old, new in zip(before, after, strict=True))
    assert after != before


def test_files_without_a_patient_that_are_named_by_a_uid_are_not_one_patient(project: Any, chests: phantom.Config) -> None:
    for number in range(3):
        project.scan(f"1.3.6.1.4.1.14519.{number}", number, "")
    project.run(chests=chests)
    assert project.images().query("source == 'inbox'")["patient"].nunique() == 3


def test_what_an_exact_copy_tells_completes_the_picture_and_contradicting_labels_leave_none(project: Any, chests: phantom.Config) -> None:
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
    project.run(chests=chests)
    table = project.images().query("source == 'inbox'").set_index("file")
    assert list(table["label"].fillna("none")) == ["pneumonia", "none", "normal"]
    assert (table["view"].iloc[0], table["patient"].iloc[0], bool(table["named"].iloc[0])) == ("chest PA", "inbox:ANNA", True)
    told = dict(project.quarantine()[["file", "detail"]].to_numpy().tolist())
    assert told["files/images/b1.png"].endswith("a1.png of inbox; the copies are labelled normal, pneumonia, so the picture has no label")
    assert sum("labelled" in detail for detail in told.values()) == 1


def test_the_exposures_of_one_study_are_one_patient_where_no_patient_id_tells(
    project: Any, chests: phantom.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        project.scan(f"{number}.dcm", number, "ANONYMOUS", StudyInstanceUID=f"1.2.3.{number // 3}")
    project.run(chests=chests)
    table = project.images().query("source == 'inbox'")
    assert list(table.groupby("dicom_study")["patient"].nunique()) == [1] * 4
    assert (table["patient"].nunique(), table["named"].all()) == (4, True)
    assert "name no patient" not in capsys.readouterr().out


def test_a_study_joins_the_patients_that_a_table_or_patient_ids_tear_apart_and_this_is_said(
    project: Any, chests: phantom.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        project.scan(f"{number}.dcm", number, f"MRN{number}" if number < 4 else "", StudyInstanceUID=f"1.2.3.{number // 2}")
    Path("inbox/images/images.csv").write_text("file,patient_id\n4.dcm,P4\n5.dcm,P5\n6.dcm,P6\n")
    project.run(chests=chests)
    table = project.images().query("source == 'inbox'")
    assert list(table.groupby("dicom_study")["patient"].nunique()) == [1] * 4
    assert table["patient"].nunique() == 4
    proof = json.loads(Path("artifacts/ingest/leakage.json").read_text())
    assert (proof["leaks"], {pair["how"] for pair in proof["pairs"]}, len(proof["pairs"])) == ([], {"study"}, 4)
    assert "ingest: 4 patients are joined to others of the same DICOM StudyInstanceUID, though " in capsys.readouterr().out


@pytest.mark.parametrize("study", ["", "0.0.0"])
def test_an_empty_study_names_nobody(project: Any, chests: phantom.Config, study: str) -> None:
    for number in range(3):
        project.scan(f"{number}.dcm", number, "", StudyInstanceUID=study)
    project.run(chests=chests)
    table = project.images().query("source == 'inbox'")
    assert (table["patient"].nunique(), table["dicom_study"].notna().any()) == (3, False)


def test_what_the_header_of_an_exact_copy_says_is_not_lost(project: Any, chests: phantom.Config) -> None:
    cv2.imwrite("inbox/images/a.png", np.rint(phantom.draw(96, 77, 0, 0) * 65535).astype(np.uint16))
    project.scan("b.dcm", 0, "MRN0", StudyInstanceUID="1.2.3", BurnedInAnnotation="YES", PixelSpacing=[0.2, 0.2])
    project.run(chests=chests)
    (row,) = project.images().query("source == 'inbox'").itertuples()
    assert (row.file, row.burned_in, row.named) == ("files/images/a.png", True, True)
    assert row.spacing == pytest.approx(0.2 * 96 / 64)
    assert (row.dicom_patient[:6], row.dicom_study[:6], row.patient) == ("dicom-", "study-", row.dicom_patient)
