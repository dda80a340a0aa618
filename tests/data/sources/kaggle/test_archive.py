"""Archives as they should be, and all the ways in which they should not: nothing is written outside, nothing half."""

import io
import random
import shutil
import stat
import struct
import types
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xraydenoise.data.sources.kaggle import archive

FILES = {"a/b/one.jpeg": b"1" * 5000, "a/two.png": b"", "table.csv": b"0,0\n" * 50_000}


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **attributes: int) -> Path:
    """A zip of `files`; `attributes` are set in the entry of the last one."""
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = method
            entry.external_attr = 0o600 << 16
            for key, value in attributes.items() if name == list(files)[-1] else ():
                setattr(entry, key, value)
            opened.writestr(entry, content)
    return path


def patched(path: Path, old: bytes, new: bytes) -> Path:
    """The zip with bytes replaced in its local headers and in its directory."""
    content = path.read_bytes()
    assert old in content
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))
    return path


def field(path: Path, offset: int, layout: str, value: int) -> Path:
    """The zip with one field of its first directory entry changed."""
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, content.index(b"PK\x01\x02") + offset, value)
    path.write_bytes(content)
    return path


def unpack(path: Path, max_files: int = 100, max_ratio: float = 100) -> Path:
    archive.unpack(path, path.parent / "out", max_files, max_ratio)
    return path.parent / "out"


def held(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(path: Path, fault: str, **limits: float) -> None:
    """It is refused in one line that names the archive, and nothing lies beside it."""
    with pytest.raises(ValueError, match=fault) as caught:
        unpack(path, **limits)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_was_packed_is_unpacked_bit_for_bit(method, tmp_path):
    assert held(unpack(zipped(tmp_path / "x.zip", FILES | {"empty/": b""}, method))) == FILES
    assert (tmp_path / "out" / "empty").is_dir()


def test_a_table_that_compresses_well_is_no_bomb(tmp_path):
    path = zipped(tmp_path / "x.zip", {"zeros.csv": bytes(900_000)})
    assert path.stat().st_size * 100 < 900_000
    assert len(held(unpack(path))["zeros.csv"]) == 900_000


def test_unpacked_files_are_never_executable_or_owned_by_another(tmp_path):
    out = unpack(zipped(tmp_path / "x.zip", {"a.jpeg": b"1"}, external_attr=(stat.S_IFREG | 0o6777) << 16))
    assert (out / "a.jpeg").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize("name", ["../a.jpeg", "a/../../b.jpeg", "a/..", "..", "./../a"])
def test_a_name_that_leaves_the_folder_is_refused(name, tmp_path):
    refused(zipped(tmp_path / "x.zip", FILES | {name: b"x"}), r"entry '.*' leaves the folder by `\.\.`; nothing was unpacked")


@pytest.mark.parametrize("name", ["/etc/cron.d/x", "//x", "C:x", "c:/x", "a\\b.jpeg", "\\\\host\\x", "a/..\\x"])
def test_an_absolute_name_or_one_of_windows_is_refused(name, tmp_path):
    refused(zipped(tmp_path / "x.zip", FILES | {name: b"x"}), r"entry '.*' has an absolute name or one with a drive or a backslash")


@pytest.mark.parametrize("character", [b"\0", b"\n", b"\x1b", b"\x7f"])
def test_a_control_character_in_a_name_is_refused(character, tmp_path):
    path = patched(zipped(tmp_path / "x.zip", FILES | {"qqq.jpeg": b"x"}), b"qqq.jpeg", b"q" + character + b"q.jpeg")
    refused(path, r"entry 'q\\.*' has an empty name or a control character")


@pytest.mark.parametrize(("name", "fault"), [("", "has an empty name"), (".", "names no file")])
def test_an_entry_without_a_name_is_refused(name, fault, tmp_path):
    path = zipped(tmp_path / "x.zip", FILES | {"q": b"x"})
    if name:
        patched(path, b"q", b".")
    else:
        with zipfile.ZipFile(path, "a") as opened:
            entry = zipfile.ZipInfo("a")
            entry.filename = ""
            opened.writestr(entry, b"")
    refused(path, fault)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a" * 256, "has a name of 256 bytes, allowed 255"),
        ("ä" * 128, "has a name of 256 bytes, allowed 255"),
        ("a/" * 2100 + "b", "has a path of [0-9]{4} bytes, allowed 4095"),
        ("a/" * 1500 + "b", "lies 1501 folders deep, allowed 100"),
    ],
)
def test_a_name_too_long_for_the_disk_is_refused(name, fault, tmp_path):
    refused(zipped(tmp_path / "x.zip", FILES | {name: b"x"}), fault)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFSOCK, stat.S_IFDIR])
def test_links_and_special_files_are_refused(kind, tmp_path):
    path = zipped(tmp_path / "x.zip", FILES | {"link": b"/etc/passwd"}, external_attr=(kind | 0o777) << 16)
    refused(path, r"entry 'link' is no plain file or folder \(Unix type 0o\d+; a link is 0o120000\)")


@pytest.mark.parametrize("bit", [0x1, 0x41])
def test_an_encrypted_entry_is_refused(bit, tmp_path):
    refused(field(zipped(tmp_path / "x.zip", FILES), 8, "<H", bit), "entry 'a/b/one.jpeg' is encrypted")


def test_an_entry_before_the_archives_start_is_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", FILES)
    content = bytearray(path.read_bytes())
    end = content.index(b"PK\x05\x06")
    struct.pack_into("<I", content, end + 16, struct.unpack_from("<I", content, end + 16)[0] + 9)  # the directory's own offset
    path.write_bytes(content)
    refused(path, "entry 'a/b/one.jpeg' begins 9 bytes before the archive does")


def test_a_compression_that_nobody_asked_for_is_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", {"a.jpeg": b"1"}, zipfile.ZIP_BZIP2)
    refused(path, r"entry 'a.jpeg' is compressed by method 12, allowed 0 \(stored\), 8 \(deflated\)")


@pytest.mark.parametrize("second", ["a/b/one.jpeg", "a/./b//one.jpeg", "A/b/ONE.jpeg"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(second, tmp_path):
    path = zipped(tmp_path / "x.zip", FILES)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr(second, b"other")
    refused(path, f"entry '{second}' has the name of 'a/b/one.jpeg'")


@pytest.mark.parametrize("name", ["table.csv/x", "TABLE.csv/x/y", "table.csv/"])
def test_a_file_that_another_entry_needs_as_a_folder_is_refused(name, tmp_path):
    refused(zipped(tmp_path / "x.zip", FILES | {name: b""}), f"entry '{name}' needs a folder where 'table.csv' is a file")


def test_too_many_entries_are_refused(tmp_path):
    refused(zipped(tmp_path / "x.zip", FILES), "holds 3 entries, allowed 2; nothing", max_files=2)


def test_one_entry_over_the_ratio_is_refused(tmp_path):
    noise = random.Random(0).randbytes(100_000)  # so that the whole stays below it
    path = zipped(tmp_path / "x.zip", {"noise": noise, "bomb": bytes(5_000_000)})
    refused(path, r"entry 'bomb' unpacks \d+ bytes to 5000000, allowed 100 times as many")


def test_many_small_entries_over_the_ratio_together_are_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", {f"{count}": bytes(1_000_000) for count in range(8)})
    refused(path, r"all entries unpack to \d+ times its size, allowed 100;")


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", {"a": bytes(1_000)}, zipfile.ZIP_STORED)
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry, tail = content[start:end], bytearray(content[end:])
    struct.pack_into("<HHI", tail, 8, 3, 3, 3 * len(entry))
    path.write_bytes(content[:start] + b"".join(entry[:-1] + name for name in (b"a", b"b", b"c")) + tail)
    refused(path, r"its entries claim 3000 of its \d+ bytes, so they overlap")


def test_more_than_the_disk_holds_is_told_before_anything_is_written(tmp_path, monkeypatch):
    path = zipped(tmp_path / "x.zip", FILES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=200_000))
    with pytest.raises(OSError, match=r"x\.zip: unpacks to 0 MB, but .* has 0 MB free; make room"):
        unpack(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 0.99])
def test_a_cut_archive_is_refused(share, tmp_path):
    path = zipped(tmp_path / "x.zip", FILES)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path, r"is no zip archive, or a damaged one \(.*\); delete it and fetch it again")


def test_a_flipped_bit_in_a_file_is_found_and_nothing_of_the_archive_stays(tmp_path):
    path = zipped(tmp_path / "x.zip", {"first": b"whole", "second": b"0123456789"}, zipfile.ZIP_STORED)
    refused(patched(path, b"0123456789", b"0123056789"), r"entry 'second' is damaged \(Bad CRC-32 for file 'second'\)")


def test_a_bomb_that_lies_about_its_size_never_writes_more_than_it_said(tmp_path, monkeypatch):
    path = field(zipped(tmp_path / "x.zip", {"bomb": bytes(50_000_000)}), 24, "<I", 1000)
    written = []
    copy = shutil.copyfileobj

    def counted(source, file, length):
        try:
            copy(source, file, length)
        finally:
            written.append(file.tell())

    monkeypatch.setattr(shutil, "copyfileobj", counted)
    refused(path, r"entry 'bomb' is damaged \(Bad CRC-32")
    assert written
    assert max(written) <= 1000


def test_an_entry_shorter_than_it_says_is_refused(tmp_path):
    path = field(zipped(tmp_path / "x.zip", {"a": b"12345"}), 24, "<I", 900)
    refused(path, "entry 'a' holds 5 of 900 bytes")


def test_what_a_killed_run_left_is_not_taken_for_the_archive(tmp_path):
    half = tmp_path / "out.partial" / "a"
    half.mkdir(parents=True)
    (half / "stale.jpeg").write_bytes(b"half")
    assert held(unpack(zipped(tmp_path / "x.zip", FILES))) == FILES
    assert not (tmp_path / "out.partial").exists()


NAMES = st.text(st.sampled_from("ab./\\:AB\0\n~ é"), max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES, min_size=1, max_size=4, unique=True), links=st.booleans())
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_name_writes_outside_or_over_another(names, links, tmp_path):
    shutil.rmtree(tmp_path, ignore_errors=True)
    (tmp_path / "room").mkdir(parents=True)
    path = tmp_path / "room" / "x.zip"
    with zipfile.ZipFile(path, "w") as opened:
        for name in names:
            entry = zipfile.ZipInfo("x")
            entry.filename = entry.orig_filename = name
            entry.external_attr = (stat.S_IFLNK if links else stat.S_IFREG) << 16
            opened.writestr(entry, name.encode())
    try:
        out = unpack(path)
    except ValueError:
        assert [found for found in tmp_path.rglob("*") if found != path] == [path.parent]
    else:
        assert not links or all(name.endswith("/") for name in names)
        assert set(path.parent.iterdir()) == {path, out}
        assert list(tmp_path.iterdir()) == [path.parent]
        assert sorted(held(out).values()) == sorted(name.encode() for name in names if not name.endswith("/"))


def test_flipped_bytes_anywhere_end_in_one_of_two_ways(tmp_path):
    buffer = io.BytesIO(zipped(tmp_path / "x.zip", FILES).read_bytes())
    whole, chance = buffer.getvalue(), random.Random(0)
    for attempt in range(400):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path = tmp_path / f"{attempt}" / "x.zip"
        path.parent.mkdir()
        path.write_bytes(content)
        try:
            found, said = held(unpack(path)), str(path)
        except (ValueError, OSError) as error:
            found, said = {}, str(error)
        assert said.startswith(str(path))
        assert found or list(path.parent.iterdir()) == [path]
        assert set(found.values()) <= set(FILES.values())  # names and dates have no checksum


def test_two_entries_of_one_name_in_two_forms_of_unicode_are_refused(tmp_path):
    path = zipped(tmp_path / "x.zip", {"R\u00f6ntgen.jpeg": b"1", "Ro\u0308ntgen.jpeg": b"2"})
    refused(path, "entry 'Ro\u0308ntgen.jpeg' has the name of 'R\u00f6ntgen.jpeg'")
