from pathlib import Path

import pytest

from xraydenoise import contracts
from xraydenoise.data.decode import decode
from xraydenoise.data.sources import sample


def test_the_sample_is_ten_real_radiographs_of_four_patients(tmp_path: Path) -> None:
    files = contracts.Downloads.validate(sample.Config(kind="sample", path=Path("a")).fetch(tmp_path))
    assert (len(files), files["patient"].nunique()) == (10, 4)
    assert files["licence"].str.contains("CC BY 3.0").sum() == 8
    assert files.groupby("patient")["label"].first().dropna().to_dict() == {"P_00173": "benign", "P_00820": "malignant"}
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.dcm")) == sorted(files["path"])
    chest = decode(tmp_path / "files/data/RG1_UNCR.dcm", 64, voi=False)
    assert (chest.bits, chest.view, chest.spacing) == (15, "chest PA", None)  # its header says 0 mm
    assert chest.pixels[:40, :40].mean() < chest.pixels.mean()  # MONOCHROME1 inverted: air beside the patient is dark


def test_a_file_with_another_hash_is_refused_in_one_line() -> None:
    changed = sample.FILES[0]._replace(sha256="0" * 64)
    with pytest.raises(
        ValueError, match=r"^pydicom-data 1.0.0: data_store/data/RG1_UNCR.dcm has sha256 946f\w+, expected 0+; install.*1.0.0$"
    ):
        sample.locate(changed)


def test_a_missing_package_and_a_missing_file_are_told_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"no-such-data: the package .* is not installed; .*pip install no-such-data==1"):
        sample.locate(sample.FILES[0]._replace(package=("no-such-data", "1", "MIT")))
    with pytest.raises(ValueError, match=r"has no data_store/x\.dcm"):
        sample.locate(sample.FILES[0]._replace(path="data_store/x.dcm"))
