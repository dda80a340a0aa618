from collections.abc import Callable
from pathlib import Path

import pytest

from xraydenoise.data.sources.folder import table

Read = Callable[[str], table.Table]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a table beside a/1.png and b/1.JPG, in UTF-8, and read it."""

    def write(text: str) -> table.Table:
        (tmp_path / "images.csv").write_text(text, encoding="utf-8")
        return table.read(tmp_path / "images.csv", table.by_name([tmp_path / "a/1.png", tmp_path / "b/1.JPG"]))

    return write


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("file,patient_id\na/1.png,P1\na/2.png,P1\n", r"images\.csv: line 3: 'a/2\.png' is not there; put it back, or remove the row$"),
        ("file,patient_id\na/1.png,P1\n./a/1.png,P2\n", r"images\.csv: line 3: './a/1\.png' is listed twice"),
        ("file,patient_id\n../../secret.png,P1\n", r"line 2: '../../secret\.png' is not there"),
        ("file,patient_id\n,P1\n", "line 2: '' names no file; write the file's name, or remove the row"),
        ("file,patient_id\nNA,P1\n", "line 2: 'NA' names no file"),
        ("file,patient_id\nb/1.jpg,P1\n", "line 2: 'b/1.jpg' is not there, .*b/1.JPG is; write the name as the file has it"),
        ("file,patient_id\n./,P1\n", "line 2: './' is a folder, hidden, or outside of the dataset"),
        ("file,patient_id\na\\2.png,P1\n", r"line 2: 'a\\\\2\.png' is not there; put it back"),
        ("name,patient_id\na/1.png,P1\n", "has no column file; found name, patient_id"),
        ("", "has no column file, patient_id; found nothing"),
        ('file,patient_id\na/1.png,P1\nb/1.JPG,"P2\n', r"images\.csv: line 3: unexpected end of data; close the quote that opens there"),
        ('file,patient_id\n"a/1.png,P1\n' + "b/1.JPG,P2\n" * 20_000, r"line 2: field larger than field limit \(131072\); close the quote"),
        ('file,"patient_id\na/1.png,P1\n', "line 1: unexpected end of data; close the quote"),
        ("file,patient_id,license\na/1.png,P1,CC0\n", "line 1: column 'license' is not known; rename it to licence, or"),
        ("file,patient_id,Lable\na/1.png,P1,sick\n", "line 1: column 'Lable' is not known; rename it to label, or"),
        ("file,patient_id,View,view\na/1.png,P1,PA,AP\n", "line 1: column view stands there twice, found file, patient_id, View, view"),
        ("file,patient_id,view\n\na/1.png,P1,chest, AP\n", "line 3: 4 cells for 3 columns; put a cell that holds a comma in quotes"),
        ("file,patient_id,view,,\na/1.png,P1,chest, AP,\n", "line 2: 5 cells for 3 columns; put a cell that holds a comma in quotes"),
        ("file,view,patient_id\na/1.png,chest\n", "line 2: 2 cells; file and patient_id need 3, empty where a patient is not known"),
        ("file,patient_id\na\\1.png,P1\n", r"line 2: 'a\\\\1\.png' is not there; folders are divided by /, .* write 'a/1\.png'"),
        (
            "file;patient_id\na/1.png;P1\n",
            "line 1: its cells are separated by semicolons, found 'file;patient_id'; save the table with commas",
        ),
        ('"file"\t"patient_id"\n"a/1.png"\t"P1"\n', "line 1: its cells are separated by tabs, found .*; save the table with commas"),
    ],
)
def test_a_table_that_does_not_fit_stops_the_stage_in_one_line(written: str, fault: str, read: Read) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=fault):
        read(written)


def test_a_table_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_bytes("file,patient_id\na/1.png,Müller\n".encode("cp1252"))
    with pytest.raises(ValueError, match=r"images\.csv: byte 25 is not UTF-8; save the table as CSV in UTF-8"):
        table.read(tmp_path / "images.csv", {})


@pytest.mark.parametrize(
    "written",
    [
        "file,patient_id,view\na/1.png,P1,PA\n",
        "\ufeffFile,PATIENT_ID, View \r\na/1.png,P1,PA\r\n",  # as spreadsheets write it
        ' file , patient_id , view \n a/1.png , "P1", PA \n',
        "file,patient_id,view,,\n,,,,\na/1.png,P1,PA,,\n,,,,\n",  # rows and columns that were cleared
        "patient_id,file,view\nP1,a/1.png,PA\n\n\n",
    ],
)
def test_case_blanks_order_and_empty_cells_change_nothing(written: str, read: Read) -> None:
    (row,) = read(written).rows.values()
    assert row == {"file": "a/1.png", "patient_id": "P1", "view": "PA", "label": None, "licence": None, "origin": None}
    assert read(written).ignored == []


def test_optional_cells_at_the_end_may_be_missing_and_a_quoted_one_may_hold_a_comma(read: Read) -> None:
    rows = read('file,patient_id,view,label\na/1.png,\nb/1.JPG,P2,"chest, AP"\n').rows.values()
    assert [(row["patient_id"], row["view"], row["label"]) for row in rows] == [(None, None, None), ("P2", "chest, AP", None)]


def test_the_columns_of_a_hospital_are_not_taken_for_misspelt_ones(read: Read) -> None:
    columns = ["study_date", "patient_sex", "patient_age", "patient", "lab", "Filename", "body_part", "modality", "kVp", "region"]
    assert read(f"file,patient_id,{','.join(columns)}\na/1.png,P1\n").ignored == columns


@pytest.mark.parametrize(
    "written", ["NA", "na", "NaN", "nan", "<NA>", "#N/A", "#DIV/0!", "None", "null", "NULL", "n/a", ".", "  ", "\u00a0"]
)
def test_a_missing_value_of_r_pandas_or_a_spreadsheet_names_nobody_in_any_column(written: str, read: Read) -> None:
    told = read(f"file,patient_id,view,label,licence,origin\na/1.png{f',{written}' * 5}\n")
    (row,) = told.rows.values()
    assert row == {"file": "a/1.png"} | dict.fromkeys(("patient_id", "view", "label", "licence", "origin"))


def test_missing_values_are_counted_in_one_line(read: Read, capsys: pytest.CaptureFixture[str]) -> None:
    read('file,patient_id,label\na/1.png,NA,NA\nb/1.JPG,"",NA\n').tell()
    line = capsys.readouterr().out
    assert line.endswith("images.csv: 3 cells count as empty: 1 NA of patient_id, 2 NA of label; write another word where one is meant\n")
    assert line.count("\n") == 1


@pytest.mark.parametrize("word", ["NA12", "Nana", "nothing", "0", "-", "normal"])
def test_words_that_are_no_missing_values_stay(word: str, read: Read) -> None:
    (row,) = read(f"file,patient_id\na/1.png,{word}\n").rows.values()
    assert row["patient_id"] == word
    assert not read(f"file,patient_id\na/1.png,{word}\n").missing


COMPOSED, DECOMPOSED = "M\u00fcller", "Mu\u0308ller"


@pytest.mark.parametrize(("on_disk", "in_table"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED), (DECOMPOSED, DECOMPOSED)])
def test_names_are_the_same_in_any_form_of_unicode(on_disk: str, in_table: str, tmp_path: Path) -> None:
    file = tmp_path / on_disk / f"{on_disk}.png"
    (tmp_path / "images.csv").write_text(f"file,patient_id\n{in_table}/{in_table}.png,{in_table}\n", encoding="utf-8")
    (found,) = table.read(tmp_path / "images.csv", table.by_name([file])).rows.items()
    assert found[0] == file
    assert found[1]["patient_id"] == COMPOSED


def test_two_files_of_one_name_in_two_forms_of_unicode_are_told_apart_by_their_letters(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'Mu\\u0308ller' and 'M\\xfcller' are one name in two forms of Unicode; rename one"):
        table.by_name([tmp_path / DECOMPOSED, tmp_path / COMPOSED])
