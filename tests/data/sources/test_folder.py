import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xraydenoise import contracts
from xraydenoise.data.sources import folder

MAGIC = bytes(128) + b"DICM" + bytes(8)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """A folder with an image in each of two sub-folders."""
    for name in ("images/a/1.png", "images/b/1.JPG"):
        path = tmp_path / "inbox" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(name.encode())
    return tmp_path / "inbox"


def fetch(inbox: Path) -> pd.DataFrame:
    out = inbox.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    return contracts.Downloads.validate(folder.Config(kind="folder", path=inbox).fetch(out))


def test_every_image_of_the_tree_is_copied_and_listed(inbox: Path) -> None:
    files = fetch(inbox)
    assert list(files["path"]) == ["files/images/a/1.png", "files/images/b/1.JPG"]
    assert files["patient"].isna().all()
    assert (inbox.parent / "out/files/images/b/1.JPG").read_bytes() == b"images/b/1.JPG"


def test_a_file_without_suffix_is_an_image_if_it_is_dicom(inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inbox / "IM0001").write_bytes(MAGIC)
    (inbox / "notes").write_text("x")
    assert "files/IM0001" in set(fetch(inbox)["path"])
    assert "1 files are not images and left out: notes\n" in capsys.readouterr().out


def test_help_texts_tables_and_hidden_files_are_no_images_and_others_are_named(inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("README.md", ".gitignore", "images/.DS_Store", ".cache/1.png", "images/other.csv", "images/a/report.pdf"):
        (inbox / name).parent.mkdir(exist_ok=True)
        (inbox / name).write_text("file,patient_id\n")
    assert len(fetch(inbox)) == 2
    assert capsys.readouterr().out == f"{inbox}: 1 files are not images and left out: images/a/report.pdf\n"


def test_an_empty_folder_has_no_image_and_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    assert fetch(tmp_path / "inbox").empty


def test_a_table_says_whose_the_images_are(inbox: Path) -> None:
    (inbox / "images/images.csv").write_text(
        "\ufefffile,patient_id,view,width,licence\na/1.png,P1,chest PA,60,CC0\nb/1.JPG,,,,\n", encoding="utf-8"
    )
    first, second = fetch(inbox).to_dict("records")
    assert (first["patient"], first["view"], first["licence"], first["origin"]) == ("P1", "chest PA", "CC0", "folder inbox")
    assert pd.isna(second["patient"])
    assert second["licence"] == "not stated"


def test_a_table_in_a_deeper_folder_counts_from_there(inbox: Path) -> None:
    (inbox / "images/b/images.csv").write_text("file,patient_id,origin\n1.JPG,P2,here\n")
    assert fetch(inbox)["patient"].dropna().to_list() == ["P2"]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("file,patient_id\na/1.png,P1\na/2.png,P1\n", r"images\.csv: line 3: 'a/2\.png' is not there; put it back .*or remove the row"),
        ("file,patient_id\na/1.png,P1\n./a/1.png,P2\n", r"images\.csv: line 3: './a/1\.png' is listed twice"),
        ("file,patient_id\n../../secret.png,P1\n", r"line 2: '../../secret\.png' is not there"),
        ("file,patient_id\n,P1\n", "line 2: '' is not there"),
        ("name,patient_id\na/1.png,P1\n", "has no column file; found name, patient_id"),
        ("", "has no column file, patient_id; found nothing"),
    ],
)
def test_a_table_that_does_not_fit_stops_the_stage_in_one_line(table: str, fault: str, inbox: Path) -> None:
    (inbox / "images/images.csv").write_text(table)
    with pytest.raises((ValueError, FileNotFoundError), match=fault):
        fetch(inbox)


def test_a_table_in_another_encoding_is_named(inbox: Path) -> None:
    (inbox / "images/images.csv").write_bytes("file,patient_id\na/1.png,Müller\n".encode("cp1252"))
    with pytest.raises(ValueError, match=r"images\.csv: byte 25 is not UTF-8; save the table as CSV in UTF-8"):
        fetch(inbox)


def test_images_that_dvc_holds_and_that_are_not_here_are_asked_for(inbox: Path) -> None:
    versioned = inbox / "images.dvc"
    versioned.write_text("outs:\n- md5: 0123.dir\n  size: 28\n  nfiles: 2\n  hash: md5\n  path: images\n")
    assert len(fetch(inbox)) == 2
    (inbox / "images/a/1.png").unlink()
    with pytest.raises(
        ValueError, match=r"holds 1 of the 2 files in .*images\.dvc; run `dvc pull` or `dvc checkout .*images\.dvc`.*`dvc add"
    ):
        fetch(inbox)
    shutil.rmtree(inbox / "images")
    with pytest.raises(FileNotFoundError, match=r"images: not there, but .*images\.dvc says that DVC holds it; run `dvc pull`"):
        fetch(inbox)


def test_links_within_the_folder_are_followed_and_others_refused(inbox: Path, tmp_path: Path) -> None:
    (inbox / "images/a/2.png").symlink_to(inbox / "images/a/1.png")
    assert len(fetch(inbox)) == 3
    assert not (tmp_path / "out/files/images/a/2.png").is_symlink()
    (tmp_path / "outside.png").touch()
    leaving = inbox / "images/a/3.png"
    leaving.symlink_to(tmp_path / "outside.png")
    with pytest.raises(ValueError, match=r"3\.png: is a link that leaves"):
        fetch(inbox)
    leaving.unlink()
    (inbox / "images/c").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="c: is a link that leaves"):
        fetch(inbox)
    (inbox / "images/c").unlink()
    (inbox / "images/d.png").symlink_to(tmp_path / "nothing.png")
    with pytest.raises(ValueError, match=r"d\.png: is a link to nothing; remove it"):
        fetch(inbox)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere: is no folder; make it, or correct the dataset's path"):
        fetch(tmp_path / "nowhere")


def test_the_listing_does_not_depend_on_the_order_of_the_disk(inbox: Path) -> None:
    for number in np.random.default_rng(0).permutation(20):
        (inbox / f"{number}.png").write_bytes(b"x")
    paths = list(fetch(inbox)["path"])
    assert paths == list(fetch(inbox)["path"])
    assert len(paths) == 22


def test_a_path_through_other_folders_is_the_same_folder(inbox: Path) -> None:
    (inbox / "images/images.csv").write_text("file,patient_id\na/1.png,P1\n")
    files = folder.Config(kind="folder", path=inbox / "images" / "..").fetch(inbox.parent / "again")
    pd.testing.assert_frame_equal(files, fetch(inbox))


def test_many_other_files_are_counted_and_few_named(inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(30):
        (inbox / f"{number:02d}.txt").touch()
    fetch(inbox)
    assert capsys.readouterr().out.endswith(
        "30 files are not images and left out: 00.txt, 01.txt, 02.txt, 03.txt, 04.txt, 05.txt, 06.txt, 07.txt, 08.txt, 09.txt, ...\n"
    )
