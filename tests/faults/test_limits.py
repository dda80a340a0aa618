"""Files that announce more than they may, and paths that are no files: refused at once, with little memory."""

import os
import struct
import threading
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, get_frame

from xraydenoise.data import opencv
from xraydenoise.data.decode import decode
from xraydenoise.data.picture import Refused

HUGE = 60_000  # px


def refusal(path: Path) -> str:
    with pytest.raises(Refused) as caught:
        decode(path, 64, voi=False)
    assert caught.value.detail
    return caught.value.reason


def png(content: bytes) -> bytes:
    header = b"IHDR" + struct.pack(">II", HUGE, HUGE) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def jpeg(content: bytes) -> bytes:
    at = next(at for at in range(len(content)) if content[at : at + 2] in (b"\xff\xc0", b"\xff\xc2"))
    return content[: at + 5] + struct.pack(">HH", HUGE, HUGE) + content[at + 9 :]


def bmp(content: bytes) -> bytes:
    return content[:18] + struct.pack("<ii", HUGE, HUGE) + content[26:]


def tiff(content: bytes) -> bytes:
    (at,) = struct.unpack_from("<I", content, 4)
    changed = bytearray(content)
    for entry in range(at + 2, at + 26, 12):  # width and height come first
        struct.pack_into("<HHII", changed, entry, *struct.unpack_from("<H", content, entry), 4, 1, HUGE)
    return bytes(changed)


def dicom(content: bytes) -> bytes:
    for tag in (b"\x28\0\x10\0US\x02\0", b"\x28\0\x11\0US\x02\0"):
        at = content.index(tag) + len(tag)
        content = content[:at] + struct.pack("<H", HUGE) + content[at + 2 :]
    return content


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("png8.png", png),
        ("png16.png", png),
        ("gray.jpg", jpeg),
        ("progressive.jpg", jpeg),
        ("bitmap.bmp", bmp),
        ("plain.tif", tiff),
        ("lzw.tif", tiff),
        ("plain.dcm", dicom),
        ("rle.dcm", dicom),
        ("jpeg_2000.dcm", dicom),
        ("jpeg_ls.dcm", dicom),
        ("jpeg_lossless.dcm", dicom),
    ],
)
def test_a_header_that_claims_60000_x_60000_is_refused_without_room_for_it(name: str, claim, specimens, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(claim(specimens[name]))
    tracemalloc.start()
    try:
        reason = refusal(tmp_path / "a")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reason == "too_large"
    assert peak < 4e6  # bytes


def test_a_small_header_over_a_huge_compressed_picture_is_refused(specimens, tmp_path: Path) -> None:
    content = specimens["jpeg_2000.dcm"]
    at = content.index(b"\xff\x4f\xff\x51") + 8
    (tmp_path / "a").write_bytes(content[:at] + struct.pack(">II", HUGE, HUGE) + content[at + 8 :])
    assert refusal(tmp_path / "a") == "damaged"


def in_a_box(name: bytes, content: bytes, extended: bool = False) -> bytes:
    if extended:
        return struct.pack(">I4sQ", 1, name, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), name) + content


def with_picture(dicom: bytes, frame: bytes, folder: Path) -> Path:
    """The DICOM file with another compressed picture."""
    dataset = pydicom.dcmread(BytesIO(dicom))
    dataset.PixelData = encapsulate([frame])
    dataset.save_as(folder / "a.dcm")
    return folder / "a.dcm"


@pytest.mark.parametrize("extended", [False, True])
def test_a_decoy_before_a_huge_jpeg_2000_picture_does_not_hide_its_size(extended: bool, specimens, tmp_path: Path) -> None:
    stream = get_frame(pydicom.dcmread(BytesIO(specimens["jpeg_2000.dcm"])).PixelData, 0, number_of_frames=1)
    ihdr = in_a_box(b"ihdr", struct.pack(">IIHBBBB", 90, 120, 1, 15, 7, 0, 0))
    head = in_a_box(b"jP  ", b"\r\n\x87\n") + in_a_box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    head += in_a_box(b"jp2h", ihdr + in_a_box(b"colr", b"\1\0\0" + struct.pack(">I", 17)))
    decoy = in_a_box(b"free", stream, extended)
    honest = with_picture(specimens["jpeg_2000.dcm"], head + decoy + in_a_box(b"jp2c", stream, extended), tmp_path)
    assert decode(honest, 64, voi=False).pixels.shape == (90, 120)
    to_the_end = with_picture(specimens["jpeg_2000.dcm"], head + b"\0\0\0\0jp2c" + stream, tmp_path)
    assert decode(to_the_end, 64, voi=False).pixels.shape == (90, 120)
    huge = stream[:8] + struct.pack(">II", HUGE, HUGE) + stream[16:]
    assert refusal(with_picture(specimens["jpeg_2000.dcm"], head + decoy + in_a_box(b"jp2c", huge, extended), tmp_path)) == "damaged"
    assert refusal(with_picture(specimens["jpeg_2000.dcm"], head + b"\0\0\0\0free" + stream, tmp_path)) == "damaged"
    assert refusal(with_picture(specimens["jpeg_2000.dcm"], head + decoy, tmp_path)) == "truncated"


def test_run_lengths_of_more_pixels_than_the_header_says_are_refused_without_room_for_them(specimens, tmp_path: Path) -> None:
    segment = b"\x81\0" * 500_000  # 64 MB of zeros
    frame = struct.pack("<16I", 2, 64, 64 + len(segment), *[0] * 13) + 2 * segment
    path = with_picture(specimens["rle.dcm"], frame, tmp_path)
    tracemalloc.start()
    try:
        assert refusal(path) == "damaged"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6  # bytes; the file has 2e6


def test_run_lengths_in_another_number_of_segments_are_refused(specimens, tmp_path: Path) -> None:
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 85
    assert refusal(with_picture(specimens["rle.dcm"], frame, tmp_path)) == "damaged"
    assert refusal(with_picture(specimens["rle.dcm"], frame[:40], tmp_path)) == "truncated"


def test_a_jpeg_of_very_many_scans_is_refused(specimens, tmp_path: Path) -> None:
    content = specimens["progressive.jpg"]
    last = content.rindex(b"\xff\xda")
    (tmp_path / "a").write_bytes(content[:last] + content[last:-2] * 200 + content[-2:])
    assert refusal(tmp_path / "a") == "unreadable"


def test_a_file_too_big_for_any_allowed_picture_is_not_even_read(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(2**34)  # sparse: takes no room
    assert refusal(tmp_path / "a.png") == "too_large"


def test_an_empty_a_missing_and_a_broken_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert refusal(tmp_path / "empty") == "empty"
    assert refusal(tmp_path / "missing") == "unreadable"
    assert refusal(tmp_path / "link") == "unreadable"
    assert refusal(tmp_path / "nul\0byte") == "unreadable"


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices have paths on POSIX")
def test_folders_pipes_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        reasons: list[str] = []
        thread = threading.Thread(target=lambda path=path, reasons=reasons: reasons.append(refusal(path)), daemon=True)
        thread.start()
        thread.join(5)
        assert reasons == ["unreadable"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file whose reading fails")
def test_a_file_whose_reading_fails_is_refused() -> None:
    assert refusal(Path("/proc/self/mem")) == "unreadable"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(0)
    assert refusal(tmp_path / "a") == "unreadable"


@pytest.mark.parametrize("name", ["knie müller.png", "line\nbreak.png", "日本.png", "é" * 120 + ".png"])
def test_an_odd_name_does_not_matter(name: str, specimens, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(specimens["png8.png"])
    assert np.ptp(decode(tmp_path / name, 64, voi=False).pixels) > 0


def test_a_file_for_which_there_is_no_memory_now_is_told_from_one_too_large(
    specimens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(opencv, "pixels", full)
    (tmp_path / "a.png").write_bytes(specimens["png8.png"])
    assert refusal(tmp_path / "a.png") == "memory"
