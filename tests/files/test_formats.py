from io import BytesIO
from pathlib import Path

import cv2
import data_store
import numpy as np
import pydicom
import pytest
from PIL import Image

from xraydenoise.data.picture import Refused
from xraydenoise.files import formats
from xraydenoise.inference import Denoiser

RADIOGRAPH = Path(data_store.__file__).parent / "data" / "RG3_UNCR.dcm"  # lower leg, 10 bit, of pydicom-data


def scaled(noisy: np.ndarray, kind: type[np.generic]) -> np.ndarray:
    return noisy.astype(kind) if issubclass(kind, np.floating) else np.rint(noisy * np.iinfo(kind).max).astype(kind)


def read(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(
    ("name", "kind", "begins"),
    [
        ("a.png", np.uint8, b"\x89PNG"),
        ("a.png", np.uint16, b"\x89PNG"),
        ("a.bmp", np.uint8, b"BM"),
        ("a.tif", np.uint8, b"II*\0"),
        ("a.tiff", np.uint16, b"II*\0"),
        ("a.tiff", np.float32, b"II*\0"),
        ("a.tiff", np.float64, b"II*\0"),
    ],
)
def test_a_file_becomes_one_of_the_same_format_type_and_size(
    name: str, kind: type[np.generic], begins: bytes, noisy: np.ndarray, denoise: Denoiser, tmp_path: Path
) -> None:
    pixels = scaled(noisy, kind)
    assert cv2.imwrite(str(tmp_path / name), pixels)
    content = formats.denoised(tmp_path / name, denoise)
    assert content.startswith(begins)
    result = read(content)
    assert result.dtype == kind
    np.testing.assert_array_equal(result, denoise(pixels))
    assert (result != pixels).mean() > 0.5


def test_a_jpeg_becomes_a_png_of_what_it_decodes_to(noisy: np.ndarray, denoise: Denoiser, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), scaled(noisy, np.uint8))
    content = formats.denoised(tmp_path / "a.jpg", denoise)
    assert content.startswith(b"\x89PNG")
    np.testing.assert_array_equal(read(content), denoise(cv2.imread(str(tmp_path / "a.jpg"), cv2.IMREAD_GRAYSCALE)))


def test_gray_in_three_channels_comes_out_as_gray(noisy: np.ndarray, denoise: Denoiser, tmp_path: Path) -> None:
    pixels = scaled(noisy, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([pixels] * 3))
    np.testing.assert_array_equal(read(formats.denoised(tmp_path / "a.png", denoise)), denoise(pixels))


def test_a_tiff_whose_white_is_zero_looks_the_same_and_not_inverted(noisy: np.ndarray, denoise: Denoiser, tmp_path: Path) -> None:
    pixels = scaled(noisy, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.tif", tiffinfo={262: 0})  # Pillow stores 255 - pixels then
    with Image.open(tmp_path / "a.tif") as picture:
        assert picture.tag_v2[262] == 0  # type: ignore[attr-defined]
    np.testing.assert_array_equal(read(formats.denoised(tmp_path / "a.tif", denoise)), denoise(pixels))


@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2", "<f4", ">f8"])
@pytest.mark.parametrize("lead", [(), (3,)], ids=["HW", "BHW"])
def test_an_array_becomes_one_of_the_same_type_and_shape(
    kind: str, lead: tuple[int, ...], noisy: np.ndarray, denoise: Denoiser, tmp_path: Path
) -> None:
    pixels = np.broadcast_to(scaled(noisy, np.dtype(kind).newbyteorder("=").type), (*lead, 40, 56)).astype(kind)
    np.save(tmp_path / "a.npy", pixels)
    (tmp_path / "result.npy").write_bytes(formats.denoised(tmp_path / "a.npy", denoise))
    result = np.load(tmp_path / "result.npy")
    assert result.dtype == kind
    np.testing.assert_array_equal(result, denoise(pixels.astype(pixels.dtype.newbyteorder("="))))


def test_a_dicom_file_under_any_name_becomes_a_derived_image_that_tells_the_weights(denoise: Denoiser, tmp_path: Path) -> None:
    source = pydicom.dcmread(RADIOGRAPH)
    source.PixelData = source.pixel_array[600:800, 600:800].tobytes()
    source.Rows = source.Columns = 200
    source.save_as(tmp_path / "IM0001")
    content = formats.denoised(tmp_path / "IM0001", denoise)
    assert content == formats.denoised(tmp_path / "IM0001", denoise)
    result = pydicom.dcmread(BytesIO(content))
    before = source.pixel_array
    np.testing.assert_array_equal(result.pixel_array, np.rint(before - denoise.noise(before)).clip(0, 1023))
    assert 0.5 < np.abs(result.pixel_array.astype(int) - before).max() < 100
    assert "weights fast (sha256 b88480e3" in result.DerivationDescription
    assert "Not for diagnostic use" in result.DerivationDescription


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.png", b"", "empty: 0 bytes"),
        ("a.png", b"hello", "not_an_image: begins with 68 65 6c 6c 6f"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 30, "damaged: PNG without its header"),
        ("a.npy", b"\x93NUMPY\x01\0", "damaged: .npy that NumPy cannot read"),
    ],
)
def test_a_damaged_file_is_refused_with_what_was_found(name: str, content: bytes, said: str, denoise: Denoiser, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refused, match=said):
        formats.denoised(tmp_path / name, denoise)


def test_an_array_that_hides_a_program_is_not_run(denoise: Denoiser, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([print]), allow_pickle=True)
    with pytest.raises(Refused, match=r"damaged: \.npy that NumPy cannot read: Object arrays"):
        formats.denoised(tmp_path / "a.npy", denoise)


def test_colour_and_too_many_pixels_are_refused(denoise: Denoiser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([np.full((9, 9), value, np.uint8) for value in (0, 90, 200)]))
    with pytest.raises(Refused, match="colour: channels differ"):
        formats.denoised(tmp_path / "a.png", denoise)
    monkeypatch.setattr(formats, "MAX_MEGAPIXELS", 8e-5)
    with pytest.raises(Refused, match=r"too_large: more than 8e-05 megapixels$"):
        formats.denoised(tmp_path / "a.png", denoise)
