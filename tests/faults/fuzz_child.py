"""Decodes each path on a line of its input, with little memory, and says how it went: what the fuzz test runs and watches."""

import sys
import time
import warnings
from pathlib import Path

import psutil

from xraydenoise.data.decode import decode
from xraydenoise.data.dicom import stored  # noqa: F401  its plugins are loaded before memory is limited
from xraydenoise.data.picture import Refused

MEGAPIXELS = 1.0
HEADROOM = 512 * 2**20  # bytes beside what the libraries take


def main() -> None:
    warnings.simplefilter("ignore")
    try:
        import resource

        limit = psutil.Process().memory_info().vms + HEADROOM
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except ImportError:  # Windows has none
        pass
    for line in sys.stdin:
        start = time.monotonic()
        try:
            picture = decode(Path(line.rstrip("\n")), MEGAPIXELS, voi=True)
            outcome = "picture" if str(picture.pixels.dtype) == "uint16" and picture.pixels.ndim == 2 else "no gray uint16 picture"
        except Refused as refused:
            outcome = f"refused {refused.reason}"
        except BaseException as error:  # any other is a finding
            outcome = f"raised {type(error).__name__}: {' '.join(str(error).split())}"
        print(f"{time.monotonic() - start:.3f} {outcome}", flush=True)


if __name__ == "__main__":
    main()
