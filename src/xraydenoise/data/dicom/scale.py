"""From stored values to full scale: modality table or rescale, then VOI table or window where asked (PS3.3 C.11.1, C.11.2).

pydicom's own calls (3.0.2) wrap the indices of 8-bit VOI tables with more than 256 entries and turn a window over where RescaleSlope
is negative. The tests compare these with pydicom's wherever that is right.
"""

import numpy as np
from pydicom.dataset import Dataset

from xraydenoise.data.depth import FULL_SCALE
from xraydenoise.data.picture import Refused, rescale, rescale_unit


def full_scale(dataset: Dataset, values: np.ndarray, limits: tuple[int, int] | None, voi: bool) -> np.ndarray:
    """Integers within `limits`, or real numbers where that is None -> uint16 of the same shape, full scale 65535, not yet inverted.

    Raises Refused: damaged, not_finite, range, window.
    """
    slope, intercept = (float(dataset.get(keyword, None) or 0) for keyword in ("RescaleSlope", "RescaleIntercept"))
    slope = slope if dataset.get("RescaleSlope") is not None else 1.0
    if dataset.get("ModalityLUTSequence"):
        values, limits = _looked_up(dataset, dataset.ModalityLUTSequence[0], values)
        slope, intercept = 1.0, 0.0
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise Refused("range", f"RescaleSlope {slope:g} and RescaleIntercept {intercept:g} leave nothing of the picture")
    if voi and dataset.get("VOILUTSequence"):
        values, limits = _looked_up(dataset, dataset.VOILUTSequence[0], np.rint(values * slope + intercept))
        return rescale(values, *limits)
    if voi and dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        center, width = _first(dataset.WindowCenter), _first(dataset.WindowWidth)
        return rescale_unit(window(values * slope + intercept, center, width, str(dataset.get("VOILUTFunction") or "LINEAR")))
    pixels = rescale_unit(values) if limits is None else rescale(values, *limits)
    return FULL_SCALE - pixels if slope < 0 else pixels


def window(values: np.ndarray, center: float, width: float, function: str) -> np.ndarray:
    """Values -> float64 of the range [0, 1]: 0 below the window, 1 above it (PS3.3 C.11.2.1.2, C.11.2.1.3).

    Raises Refused: window, for a width that the function does not allow or a function that the standard does not know.
    """
    if not np.isfinite([center, width]).all() or width <= 0 or (function == "LINEAR" and width < 1):
        raise Refused("window", f"{function} window of center {center:g} and width {width:g}")
    above = values.astype(np.float64) - center
    if function == "LINEAR":
        if width == 1:  # a threshold
            return (above > -0.5).astype(np.float64)
        return np.clip((above + 0.5) / (width - 1) + 0.5, 0, 1)
    if function == "LINEAR_EXACT":
        return np.clip(above / width + 0.5, 0, 1)
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * above / width, -700, 700))))
    raise Refused("window", f"VOI LUT Function {function!r}; expected LINEAR, LINEAR_EXACT or SIGMOID")


def _looked_up(dataset: Dataset, item: Dataset, values: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The table's entry for each value (the first below the table, the last above it), and the range of the bits that the entries need.

    The descriptor's bits say nothing that counts, as in DCMTK: Agfa's CR gives the 16 that an entry takes in the file, though all entries
    are of 12 and no picture would come near white.
    """
    count, first, depth = (int(number) for number in item.LUTDescriptor)
    count = count or 2**16
    entries = item.LUTData
    if isinstance(entries, bytes):
        order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
        entries = np.frombuffer(entries, np.uint8 if depth <= 8 and len(entries) < 2 * count else f"{order}u2")
    table = np.atleast_1d(np.asarray(entries, np.uint16))[:count]
    if len(table) < count or not 1 <= depth <= 16:
        raise Refused("damaged", f"lookup table of {len(table)} entries and {depth} bit; its descriptor says {count} entries")
    if not np.isfinite(values).all():
        raise Refused("not_finite", "pixels are NaN or infinite")
    if first >= 2**15 and first > values.max():  # signed, as its input may be (PS3.3 C.11.1.1, C.11.2.1.1), under an unsigned VR
        first -= 2**16
    return table[np.clip(values.astype(np.int64) - first, 0, count - 1)], (0, 2 ** max(1, int(table.max()).bit_length()) - 1)


def _first(numbers: object) -> float:
    """Of one or several alternatives."""
    return float(np.atleast_1d(np.asarray(numbers, np.float64))[0])
