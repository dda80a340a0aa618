"""Digests beside the files of a folder: what is as it was passes, what is not is named."""

import shutil
import subprocess
from pathlib import Path

import pytest

from xraydenoise import checksums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "below").mkdir()
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "below" / "two words.bin").write_bytes(bytes(1000))
    checksums.write(tmp_path)
    return tmp_path


def test_a_folder_that_is_as_it_was_passes_as_a_copy_and_with_more_files_too(folder, tmp_path_factory):
    copy = shutil.copytree(folder, tmp_path_factory.mktemp("copies") / "copy")
    (copy / "more").write_text("more")
    checksums.check(copy)


def test_other_programs_read_the_file(folder):
    if not (program := shutil.which("sha256sum")):
        pytest.skip("no sha256sum on this machine")
    subprocess.run([program, "--check", "--strict", checksums.FILE], cwd=folder, check=True)


@pytest.mark.parametrize("name", ["a.txt", "below/two words.bin"])
def test_a_file_that_is_missing_cut_or_changed_is_named_with_both_digests(folder, name):
    path, content = folder / name, (folder / name).read_bytes()
    for damaged in (content + b"?", content[:-1], b"?" * len(content)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"^{name}: expected sha256 \w{{64}} of SHA256SUMS, found sha256 \w{{64}}$"):
            checksums.check(folder)
    path.unlink()
    with pytest.raises(ValueError, match=rf"^{name}: expected sha256 \w{{64}} of SHA256SUMS, found no such file$"):
        checksums.check(folder)


def test_digests_that_are_damaged_themselves_are_refused(folder):
    path = folder / checksums.FILE
    content = path.read_bytes()
    for place in range(0, len(content) - 1):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ValueError, match="expected sha256"):
            checksums.check(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        checksums.check(folder)
