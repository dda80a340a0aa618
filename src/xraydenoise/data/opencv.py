"""OpenCV's decoder as PNG, BMP and TIFF use it: whole bytes in, untouched pixels or a refusal out."""

import cv2
import numpy as np

from xraydenoise.data.picture import Refused

Bytes = bytes | bytearray


def pixels(data: Bytes) -> np.ndarray:
    """(H, W) or (H, W, 3 or 4) as stored: full depth, no EXIF rotation, which other modes apply to some formats and not to others.

    Raises Refused where OpenCV finds the pixels damaged or cut off.
    """
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise Refused("unreadable", " ".join(str(error).split())) from error
    if decoded is None:
        raise Refused("unreadable", "the pixels are damaged, cut off or stored in a way that OpenCV does not know")
    return decoded
