"""DICOM radiographs (CR, DX, MG, secondary capture) as gray pictures: stored values over their whole range, a window only on demand."""

import hashlib
import re
import struct
import zlib
from io import BytesIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import _read_file_meta_info, read_dataset, read_preamble
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from pydicom.valuerep import STANDARD_VR

from xraydenoise.data import text
from xraydenoise.data.depth import FULL_SCALE
from xraydenoise.data.dicom import stored
from xraydenoise.data.dicom.scale import full_scale
from xraydenoise.data.picture import NO_PICTURE, Picture, Refused, check_end, check_size

# What anonymisers leave in the place of a PatientID (PS3.15 E.1 wants a dummy value): many patients would become one.
PLACEHOLDER = re.compile(
    r"[0x]*|(anon(ym(ous|i[sz]ed)?)?|confidential|deidentified|empty|noid|none|not(applicable|available|provided)|null|na|removed|unknown)?"
    r"(patient)?(id)?"
)
PUNCTUATION = re.compile(r"[\W_]")
GRAYS = ("MONOCHROME1", "MONOCHROME2")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")  # gray in three channels comes in these
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
PIXEL_TAGS = frozenset(map(Tag, PIXELS))
UNDEFINED = 0xFFFFFFFF  # length of an element that a delimiter ends
SAMPLES = {**dict.fromkeys(GRAYS, 1), **dict.fromkeys(COLOURS, 3)}


def read(data: bytes, max_megapixels: float, voi: bool) -> Picture:
    """The picture of a whole file: inverted where low values are white, its IDs hashed; its size is checked before a pixel is decoded.

    Full scale is what the stored bits allow (or what the entries of the modality or VOI table need), so a linear rescale changes nothing
    but its sign. With `voi` the first VOI table, or else the first window, decides what is black and what is white. Real numbers
    (FloatPixelData) have full scale 1 unless a window is applied. Padding pixels become black.
    Raises Refused, as `decode.decode` does.
    """
    try:
        dataset = opened(data, max_megapixels)
        if int(dataset.get("NumberOfFrames") or 1) > 1:
            raise Refused("frames", f"has {dataset.NumberOfFrames} frames; expected one radiograph a file")
        return _picture(dataset, voi)
    except (Refused, MemoryError):
        raise
    except Exception as error:  # damaged files make pydicom raise nearly any class
        raise Refused("unreadable", f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def opened(data: bytes, max_megapixels: float) -> Dataset:
    """The header and the coded pixels of a file whose frames, of which there may be many, are each within the limit and can be decoded.

    Raises Refused for another, and nearly any class for a damaged one.
    """
    dataset = _dataset(data, max_megapixels)
    _check(dataset, max_megapixels)
    return dataset


def _dataset(data: bytes, max_megapixels: float) -> Dataset:
    """The header and, in it, the coded pixels. A deflated file (PS3.5 A.5) is inflated here, since dcmread does so without a bound."""
    file = BytesIO(data)
    read_preamble(file, force=False)
    meta = _read_file_meta_info(file)  # as dcmread does: another reader of the same bytes could be led past the bound
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        dataset: Dataset = pydicom.dcmread(BytesIO(data))
        _check_elements(dataset, data)
        return dataset
    content = _inflated(data[file.tell() :], int(max_megapixels * 1e6 * 8 + 2**20))
    dataset = read_dataset(BytesIO(content), is_implicit_VR=False, is_little_endian=True)
    _check_elements(dataset, content)
    dataset.file_meta = meta
    return dataset


def _check_elements(dataset: Dataset, content: bytes) -> None:
    """No value of `content` is cut off, and behind the pixels stand elements: lost or added bytes move what follows, and pydicom, which
    reads on, makes elements of that. Raises Refused: damaged, truncated."""
    pixels, end = None, len(content)
    for tag in dataset.keys():  # noqa: SIM118  in the order of the file, where a loop over the dataset would sort
        element = dataset.get_item(tag)
        known = element.VR is None or element.VR in STANDARD_VR  # implicit VR names none
        if pixels is not None and tag and (tag < pixels or not known):  # a tag of zeros is padding
            raise Refused("damaged", f"DICOM has {tag} of VR {element.VR!r} behind its pixels, which is no element")
        if isinstance(element, RawDataElement) and element.length != UNDEFINED:
            end = element.value_tell + element.length
            if end > len(content):
                raise Refused("truncated", f"DICOM ends after {len(content)} bytes; its element {tag} would end at {end}")
        else:
            end = len(content)
        if element.tag in PIXEL_TAGS:
            pixels = tag
    check_end("DICOM", content[end:])


def _inflated(deflated: bytes, limit: int) -> bytes:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflate.decompress(deflated, limit + 1)
    if len(inflated) > limit:
        raise Refused("too_large", f"deflated DICOM of more than {limit / 1e6:.0f} MB")
    if not inflate.eof:
        raise Refused("truncated", f"deflated DICOM whose data have no end, in {len(deflated)} bytes")
    checksum = struct.pack("<II", zlib.crc32(inflated), len(inflated))  # of gzip, which some writers leave behind the data
    check_end("deflated DICOM", inflate.unused_data.removeprefix(checksum))
    return inflated


def _check(dataset: Dataset, max_megapixels: float) -> None:
    kind = UID(str(dataset.file_meta.get("MediaStorageSOPClassUID") or dataset.get("SOPClassUID") or ""))
    other = kind.name != kind and "Image Storage" not in kind.name  # of a class that the standard knows; a cut file may have any
    if other and not any(entry in dataset for entry in ("Rows", *PIXELS)):
        raise Refused(NO_PICTURE, f"DICOM of class {kind.name}, which holds none")
    if "Rows" not in dataset or "Columns" not in dataset:
        raise Refused("not_an_image", f"DICOM of modality {dataset.get('Modality', 'unknown')} holds no picture")
    check_size(int(dataset.Rows), int(dataset.Columns), max_megapixels)
    photometric, samples = dataset.PhotometricInterpretation, int(dataset.get("SamplesPerPixel") or 1)
    if SAMPLES.get(photometric) != samples:
        raise Refused("photometric", f"{photometric!r} of {samples} samples a pixel; expected MONOCHROME1, MONOCHROME2 or gray RGB")
    stored.check_syntax(dataset.file_meta.TransferSyntaxUID)


def _picture(dataset: Dataset, voi: bool) -> Picture:
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        values, bits = stored.real(dataset)
        limits, padding = None, None
    elif "PixelData" in dataset:
        values, bits, limits, padding = stored.whole(dataset)
    else:
        raise Refused("not_an_image", f"DICOM of modality {dataset.get('Modality', 'unknown')} holds no PixelData")
    pixels = full_scale(dataset, values, limits, voi)
    # DX images say the same thing twice (PS3.3 C.8.11.3.1): MONOCHROME1 has the shape INVERSE. That is one inversion and not two.
    if dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE":
        pixels = FULL_SCALE - pixels
    if padding is not None:
        tissue = pixels[~padding]
        if tissue.size == 0 or tissue.min() == tissue.max():
            raise Refused("constant", "every pixel that is not padding is the same")
        pixels[padding] = 0
    burned_in = str(dataset.get("BurnedInAnnotation") or "").upper() == "YES"
    return Picture(pixels, bits, _spacing(dataset), *_whose(dataset), _view(dataset), burned_in)


def _spacing(dataset: Dataset) -> float | None:
    """mm a pixel, where rows and columns agree: in the patient's plane if calibrated (PS3.3 10.7), else at the detector."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        try:
            spacing = dataset.get(keyword)
            sides = [float(side) for side in spacing] if isinstance(spacing, MultiValue) else []
        except (TypeError, ValueError):  # no numbers: "0,143"
            continue
        if len(sides) == 2 and all(0 < side < float("inf") for side in sides):
            return sides[0] if sides[0] == sides[1] else None  # the next one would contradict it
    return None


def _whose(dataset: Dataset) -> tuple[str | None, str | None]:
    """Names for the patient and the study, the same in every file of theirs, which are not the IDs; None where these name nobody."""
    return _hashed("dicom", dataset.get("PatientID")), _hashed("study", dataset.get("StudyInstanceUID"))


def _hashed(kind: str, entry: object) -> str | None:
    told = text.known(str(entry or ""))
    letters = PUNCTUATION.sub("", told or "").casefold()
    return None if told is None or PLACEHOLDER.fullmatch(letters) else f"{kind}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def _view(dataset: Dataset) -> str | None:
    """Body part, side and projection, as far as they are there: "chest PA"."""
    body = str(dataset.get("BodyPartExamined") or "").lower()
    side = str(dataset.get("ImageLaterality") or dataset.get("Laterality") or "")
    return " ".join(part for part in (body, side, str(dataset.get("ViewPosition") or "")) if part) or None
