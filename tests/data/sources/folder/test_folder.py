import ast
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path, PurePath

import numpy as np
import pandas as pd
import pytest

from xraydenoise import contracts
from xraydenoise.data import sources
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
    out.mkdir()
    return contracts.Downloads.validate(folder.Config(kind="folder", path=inbox).fetch(out))


def test_every_image_of_the_tree_is_copied_and_listed(inbox: Path) -> None:
    files = fetch(inbox)
    assert list(files["path"]) == ["files/images/a/1.png", "files/images/b/1.JPG"]
    assert files["patient"].isna().all()
    assert (inbox.parent / "out/files/images/b/1.JPG").read_bytes() == b"images/b/1.JPG"


@pytest.mark.parametrize("name", ["IM0001", "DX.1.2.840.113619.2.5", "1.3.6.1.4.1.14519", "x.dicom", "y.IMA"])
def test_a_file_of_any_name_is_an_image_if_it_is_dicom(name: str, inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inbox / name).write_bytes(MAGIC)
    (inbox / "notes").write_text("x")
    assert f"files/{name}" in set(fetch(inbox)["path"])
    assert "1 files are not images and left out: notes\n" in capsys.readouterr().out


def test_help_texts_tables_and_hidden_files_are_no_images_and_others_are_named(inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("README.md", ".gitignore", "images/.DS_Store", ".cache/1.png", "images/images.csv", "image.csv", "images/a/report.pdf"):
        (inbox / name).parent.mkdir(exist_ok=True)
        (inbox / name).write_text("file,patient_id\n")
    assert len(fetch(inbox)) == 2
    assert capsys.readouterr().out == f"{inbox}: 2 files are not images and left out: image.csv, images/a/report.pdf\n"


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


def test_a_file_in_two_tables_is_not_chosen_between(inbox: Path) -> None:
    (inbox / "images/images.csv").write_text("file,patient_id\na/1.png,P1\n")
    (inbox / "images/a/images.csv").write_text("file,patient_id\n1.png,\n")
    with pytest.raises(ValueError, match=r"images/a/images\.csv: .*a/1\.png is listed in .*images/images\.csv too; remove one of the rows"):
        fetch(inbox)


@pytest.mark.parametrize("name", ["Images.csv", "IMAGES.CSV"])
def test_a_table_is_known_in_any_case(name: str, inbox: Path) -> None:
    (inbox / "images" / name).write_text("file,patient_id\na/1.png,P1\n")
    assert fetch(inbox)["patient"].dropna().to_list() == ["P1"]


def test_two_tables_in_one_folder_are_not_chosen_between(inbox: Path) -> None:
    (inbox / "images/images.csv").write_text("file,patient_id\na/1.png,P1\n")
    (inbox / "images/Images.csv").write_text("file,patient_id\nb/1.JPG,P1\n")
    with pytest.raises(ValueError, match=r"images/images\.csv: Images\.csv lies beside it; make one table of the two"):
        fetch(inbox)


def test_columns_that_are_nothing_like_a_known_one_are_named_and_not_read(inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inbox / "images/images.csv").write_text(",file,patient_id,Study Date,patient_sex\n0,a/1.png,P1,2020,F\n")
    assert fetch(inbox)["patient"].dropna().to_list() == ["P1"]
    told = "3 columns are not read: one without a name, Study Date, patient_sex; known are file, patient_id, view, label, licence, origin\n"
    assert capsys.readouterr().out == f"{inbox}/images/images.csv: {told}"


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


def test_a_link_to_a_file_is_that_file_wherever_it_lies(inbox: Path, tmp_path: Path) -> None:
    """As in DVC's cache (`cache.type symlink`): DVC hashes the content, so a copy in the link's place must come to the same."""
    (tmp_path / "outside.png").write_bytes(b"elsewhere")
    (inbox / "images/a/2.png").symlink_to(inbox / "images/a/1.png")
    (inbox / "images/a/3.png").symlink_to(tmp_path / "outside.png")
    linked = fetch(inbox)
    assert linked["reason"].isna().all()
    for name, content in (("2.png", b"images/a/1.png"), ("3.png", b"elsewhere")):
        copied = tmp_path / "out/files/images/a" / name
        assert not copied.is_symlink()
        assert copied.read_bytes() == content
        (inbox / "images/a" / name).unlink()
        (inbox / "images/a" / name).write_bytes(content)
    pd.testing.assert_frame_equal(fetch(inbox), linked)


def test_links_to_folders_or_to_nothing_are_quarantined_and_refused_before_anything_runs(inbox: Path, tmp_path: Path) -> None:
    (inbox / "images/c").symlink_to(tmp_path)
    (inbox / "images/d.png").symlink_to(tmp_path / "nothing.png")
    (inbox / "images/e").symlink_to(inbox / "images/a")
    files = fetch(inbox)
    refused = {"files/images/c": "linked_folder", "files/images/d.png": "broken_link", "files/images/e": "linked_folder"}
    assert dict(files.loc[files["reason"].notna(), ["path", "reason"]].to_numpy().tolist()) == refused
    assert len(files) == 5
    with pytest.raises(ValueError, match=r"3 of its files.*images/c: is a link to a folder, into which DVC does not look; put the folder"):
        folder.Config(kind="folder", path=inbox).check()


def test_the_copy_of_a_name_that_macos_took_apart_is_composed(inbox: Path) -> None:
    (inbox / "images/Ro\u0308ntgen.png").touch()
    assert "files/images/R\u00f6ntgen.png" in set(fetch(inbox)["path"])


def test_a_pipe_is_quarantined_and_not_opened(inbox: Path) -> None:
    os.mkfifo(inbox / "images/pipe.png")
    assert dict(fetch(inbox)[["path", "reason"]].dropna().to_numpy().tolist()) == {"files/images/pipe.png": "not_a_file"}


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_copied(inbox: Path, tmp_path: Path) -> None:
    assert folder.copy(Path("/proc/self/mem"), tmp_path / "a.png") == ("unreadable", "cannot be read: Input/output error")
    assert folder.copy(inbox / "images/a/1.png", tmp_path / "b.png") is None


@pytest.mark.skipif(os.getuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_listed_is_quarantined(inbox: Path) -> None:
    (inbox / "images/b").chmod(0)
    files = fetch(inbox)
    (inbox / "images/b").chmod(0o755)
    assert files["reason"].fillna("").to_list() == ["", "unreadable"]


def test_what_dvc_cannot_hash_is_refused_before_anything_runs_with_each_name(inbox: Path) -> None:
    config = folder.Config(kind="folder", path=inbox)
    config.check()
    (inbox / "images/gone.png").symlink_to("nothing")
    os.mkfifo(inbox / "images/pipe.png")
    Path(os.fsdecode(os.fsencode(inbox) + b"/M\xfc.png")).touch()
    with pytest.raises(
        ValueError, match=r"3 of its files.*gone\.png: is a link to nothing.*pipe\.png: is a pipe.*M\\udcfc\.png: its name is not UTF-8"
    ):
        config.check()


def test_what_this_user_may_not_read_is_refused_before_anything_runs_and_else_quarantined(inbox: Path) -> None:
    for name, mode in (("closed", 0), ("listed", 0o644)):  # a folder that cannot be entered can still be listed
        (inbox / name).mkdir()
        (inbox / name / "1.png").touch()
        (inbox / name).chmod(mode)
    (inbox / "images/a/1.png").chmod(0)
    code = """if True:
        from pathlib import Path
        from xraydenoise.data.sources import folder
        config = folder.Config(kind="folder", path=Path("inbox"))
        print(config.fetch(Path("out"))[["path", "reason"]].dropna().to_numpy().tolist())
        config.check()
    """
    # Root may read everything, unless it has given up its capabilities.
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    if without and subprocess.run([*without, "true"], check=False).returncode:
        pytest.skip("root cannot give up its rights here")
    (inbox.parent / "out").mkdir()
    found = subprocess.run([*without, sys.executable, "-c", code], cwd=inbox.parent, capture_output=True, text=True, check=False)
    for name in ("closed", "listed"):
        (inbox / name).chmod(0o755)
    refused = ["files/closed", "files/images/a/1.png", "files/listed"]
    assert sorted(ast.literal_eval(found.stdout)) == [[path, "unreadable"] for path in refused]
    assert "DVC cannot version 3 of its files" in found.stderr
    assert "inbox/images/a/1.png: may not be read by this user" in found.stderr


@pytest.mark.parametrize("name", ["ä 影.png", "a  b.png", "new\nline.png", "x" * 251 + ".png", "\udcfc.png", "a\u202eb.PNG", "%0A.png"])
def test_odd_names_are_kept_apart_and_can_be_printed(name: str, inbox: Path) -> None:
    (inbox / "images" / name).write_text("odd")
    files = fetch(inbox)
    assert len(files) == 3
    assert files["path"].map(lambda path: path.isprintable() and max(len(part.encode()) for part in path.split("/")) <= 230).all()
    assert sum((inbox.parent / "out" / path).read_text() == "odd" for path in files["path"]) == 1


def test_a_name_that_can_be_kept_is_kept() -> None:
    assert sources.place(PurePath("images/ä 影 1%.png")) == "files/images/ä 影 1%.png"
    assert sources.place(PurePath("a\nb.png")) == "files/a%0Ab~" + hashlib.sha256(b"a\nb.png").hexdigest()[:8] + ".png"


def test_cephalograms_in_the_layout_of_isbi_2015_are_recognised(tmp_path: Path) -> None:
    for name in ("RawImage/TrainingData/001.bmp", "RawImage/Test1Data/151.bmp", "other/001.bmp"):
        path = tmp_path / "isbi" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(name.encode())
    files = fetch(tmp_path / "isbi").set_index("path")
    assert files["patient"].fillna("none").to_dict() == {
        "files/RawImage/TrainingData/001.bmp": "isbi-001",
        "files/RawImage/Test1Data/151.bmp": "isbi-151",
        "files/other/001.bmp": "none",
    }
    assert files["spacing"].fillna(0).to_list() == [0.1, 0.1, 0]
    assert set(files["view"].dropna()) == {"cephalogram lateral"}


def test_a_disk_without_room_is_told_before_the_copy(inbox: Path) -> None:
    with pytest.raises(OSError, match=r"1000000000\.00 GB are to be written, .* GB are free; make room"):
        sources.check_space(inbox, 10**18)


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
    files = folder.Config(kind="folder", path=inbox / "images" / "..").fetch(inbox.parent)
    pd.testing.assert_frame_equal(files, fetch(inbox))


def test_many_other_files_are_counted_and_few_named(inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(30):
        (inbox / f"{number:02d}.txt").touch()
    fetch(inbox)
    assert capsys.readouterr().out.endswith(
        "30 files are not images and left out: 00.txt, 01.txt, 02.txt, 03.txt, 04.txt, 05.txt, 06.txt, 07.txt, 08.txt, 09.txt, ...\n"
    )
