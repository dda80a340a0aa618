import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import data_store
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, GrayscaleSoftcopyPresentationStateStorage, JPEGLSLossless

from xraydenoise import files
from xraydenoise.__main__ import main

Said = Callable[[], tuple[str, str]]
OPTIONS = ["--model", "fast", "--device", "cpu"]


@pytest.fixture
def scans(noisy: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two pictures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans/deep").mkdir(parents=True)
    cv2.imwrite("scans/a.png", np.rint(noisy * 65535).astype(np.uint16))
    cv2.imwrite("scans/deep/b.jpg", np.rint(noisy * 255).astype(np.uint8))
    return tmp_path / "scans"


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_is_denoised_and_the_last_line_says_how_many_how_fast_and_where(scans: Path, said: Said) -> None:
    before = {name: (scans / name).read_bytes() for name in tree(scans)}
    assert main(["denoise", "scans", "--output", "out", *OPTIONS]) == 0
    assert re.fullmatch(r"2 of 2 files denoised in [\d.]+ s \([\d.]+ s each\), into out\n", said()[0])
    assert tree(Path("out")) == ["a.png", "deep/b.png"]
    assert {name: (scans / name).read_bytes() for name in tree(scans)} == before
    result = cv2.imread("out/a.png", cv2.IMREAD_UNCHANGED)
    assert result.dtype == np.uint16
    assert result.std() < 0.95 * cv2.imread("scans/a.png", cv2.IMREAD_UNCHANGED).std()


def test_a_bad_file_is_one_line_with_its_reason_and_the_others_go_on(scans: Path, said: Said) -> None:
    (scans / "a.tif").write_bytes(b"no tiff")
    np.save(scans / "c.npy", np.full((9, 9), np.nan))
    (scans / "notes.txt").touch()
    assert main(["denoise", "scans", "--output", "out", *OPTIONS]) == 2
    out, err = said()
    assert "scans/a.tif: not_an_image: begins with 6e 6f" in err
    assert "scans/c.npy: 81 of 81 pixels are NaN or infinite" in err
    assert re.fullmatch(r"2 of 4 files denoised in .*, into out; 2 failed; 1 that hold no picture passed over\n", out)
    assert tree(Path("out")) == ["a.png", "deep/b.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
def test_a_pipe_is_a_line_and_not_waited_for(scans: Path, said: Said) -> None:
    os.mkfifo(scans / "pipe.png")
    assert main(["denoise", "scans", "--output", "out", *OPTIONS]) == 2
    assert "scans/pipe.png: unreadable: is a folder, pipe or device; expected a file" in said()[1]


def test_an_object_that_was_never_meant_to_hold_a_picture_is_said_and_is_no_failure(scans: Path, said: Said) -> None:
    state = Dataset()
    state.SOPClassUID, state.SOPInstanceUID = GrayscaleSoftcopyPresentationStateStorage, "1.2.3"
    state.file_meta = FileMetaDataset()
    state.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    state.save_as(scans / "PR0001", enforce_file_format=True)
    assert main(["denoise", "scans", "--output", "out", *OPTIONS]) == 0
    out, err = said()
    assert "scans/PR0001: no_picture: DICOM of class Grayscale Softcopy Presentation State Storage, which holds none\n" in err
    assert re.fullmatch(r"2 of 3 files denoised in .*, into out; 1 that hold no picture passed over\n", out)


def test_each_comparison_stands_beside_its_result_and_the_page_shows_all(scans: Path, said: Said) -> None:
    command = ["denoise", "scans", "--output", "out", "--compare", "--page", "pages/page.html", *OPTIONS]
    assert main(command) == 0
    assert said()[0].endswith("into out; page in pages/page.html\n")
    assert tree(Path("out")) == ["a.png", "a.png.compare.png", "deep/b.png", "deep/b.png.compare.png"]
    comparison = cv2.imread("out/a.png.compare.png", cv2.IMREAD_UNCHANGED)
    left, middle = (comparison[-40:, start : start + 56].astype(float) for start in (112, 112 + 286))
    assert np.corrcoef(left.ravel(), cv2.imread("scans/a.png", cv2.IMREAD_UNCHANGED).ravel())[0, 1] > 0.999
    assert np.corrcoef(middle.ravel(), cv2.imread("out/a.png", cv2.IMREAD_UNCHANGED).ravel())[0, 1] > 0.999
    page = Path("pages/page.html").read_text(encoding="utf-8")
    assert all(f'"image": {json.dumps(str(Path("scans", name)))}' in page for name in ("a.png", "deep/b.jpg"))
    assert "weights fast (sha256 b88480e3" in page
    assert main(command) == 1
    assert main([*command, "--overwrite"]) == 0
    assert Path("pages/page.html").read_text(encoding="utf-8") == page


def test_compress_makes_dicom_results_small_and_changes_nothing_of_others(scans: Path) -> None:
    source = Path(data_store.__file__).parent / "data" / "RG3_UNCR.dcm"
    dataset = pydicom.dcmread(source)
    dataset.PixelData = dataset.pixel_array[600:800, 600:800].tobytes()
    dataset.Rows = dataset.Columns = 200
    dataset.save_as(scans / "IM0001")
    for options in ([], ["--compress"]):
        assert main(["denoise", "scans", "--output", f"out{len(options)}", *options, *OPTIONS]) == 0
    plain, small = (pydicom.dcmread(Path(f"out{place}", "IM0001")) for place in range(2))
    assert small.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert small.SOPInstanceUID == plain.SOPInstanceUID
    np.testing.assert_array_equal(small.pixel_array, plain.pixel_array)
    assert Path("out1/IM0001").stat().st_size < 0.7 * Path("out0/IM0001").stat().st_size
    assert all(Path("out0", name).read_bytes() == Path("out1", name).read_bytes() for name in ("a.png", "deep/b.png"))


def test_results_that_are_there_are_refused_before_anything_is_computed(scans: Path, said: Said) -> None:
    Path("out/deep").mkdir(parents=True)
    Path("out/deep/b.png").write_bytes(b"mine")
    assert main(["denoise", "scans", "--output", "out", *OPTIONS]) == 1
    assert said()[1] == "error: out/deep/b.png: there already; --overwrite replaces what is there\n"
    assert tree(Path("out")) == ["deep/b.png"]
    assert main(["denoise", "scans", "--output", "out", "--overwrite", *OPTIONS]) == 0
    assert Path("out/deep/b.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_input_gives_the_same_bytes(scans: Path) -> None:
    for output in ("one", "two"):
        assert main(["denoise", "scans", "--output", output, *OPTIONS]) == 0
    assert all(Path("one", name).read_bytes() == Path("two", name).read_bytes() for name in ("a.png", "deep/b.png"))


def test_options_reach_the_denoiser_or_are_refused_in_one_line(scans: Path, said: Said) -> None:
    assert main(["denoise", "scans/a.png", "--output", "out", "--strength", "0", *OPTIONS]) == 0
    np.testing.assert_array_equal(cv2.imread("out/a.png", cv2.IMREAD_UNCHANGED), cv2.imread("scans/a.png", cv2.IMREAD_UNCHANGED))
    said()
    assert main(["denoise", "scans/a.png", "--output", "other", "--model", "bset"]) == 1
    assert said()[1].startswith("error: model: 'bset' is none of best, fast, ")
    assert not Path("other").exists()


def test_a_result_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"before")

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:3])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space left"):
        files.write(target, b"after all")
    assert tree(tmp_path) == ["a.png"]
    assert target.read_bytes() == b"before"


def test_the_command_imports_no_module_of_the_pipeline_and_nothing_that_only_posix_has(scans: Path) -> None:
    program = """
import sys
sys.modules["fcntl"] = None  # as on Windows
from xraydenoise.__main__ import main
code = main(["denoise", "scans", "--output", "out", "--model", "fast", "--device", "cpu"])
pipeline = ("xraydenoise.stages", "xraydenoise.params", "xraydenoise.registry", "xraydenoise.training", "xraydenoise.contracts")
print(code, [name for name in sys.modules if name.startswith(pipeline)])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["0 []"], done.stderr
