"""Files in, the same files without noise out: what `xraydenoise denoise` does."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2

from xraydenoise import disk
from xraydenoise.data.picture import NO_PICTURE, Refused
from xraydenoise.files import compare, formats
from xraydenoise.files.page import Page
from xraydenoise.files.plan import Job
from xraydenoise.files.shown import shown
from xraydenoise.inference import Denoiser
from xraydenoise.progress import progress, say


class Outcome(NamedTuple):
    """What became of the files."""

    done: int  # files written
    empty: int  # files that were never meant to hold a picture, such as a DICOMDIR
    failed: int
    seconds: float


def run(jobs: Sequence[Job], denoise: Denoiser, compress: bool = False, page: Page | None = None) -> Outcome:
    """Denoise each source into its target, which appears whole or not at all; a file that cannot be is one line on stderr.

    With `compress` DICOM files are compressed without loss. A job's comparison is written if it has one, and `page` gets each file.
    """
    start = time.monotonic()
    done = empty = failed = 0
    for job in progress(jobs, "denoise", len(jobs)):
        try:
            content = formats.denoised(job.source, denoise, compress)
            if job.comparison or page:  # before the result, so that a file which failed is not there
                pair = shown(job.source.read_bytes()), shown(content)
                if page:
                    page.add(str(job.source), *pair)
                if job.comparison:
                    write(job.comparison, compare.png(*pair))
            write(job.target, content)
            done += 1
        except Refused as error:
            without = error.reason == NO_PICTURE
            empty, failed = empty + without, failed + (not without)
            say(f"{job.source}: {error}")
        except (ValueError, OSError, RuntimeError, MemoryError, cv2.error) as error:
            failed += 1
            say(f"{job.source}: {' '.join(str(error).split()) or type(error).__name__}")
    return Outcome(done, empty, failed, time.monotonic() - start)


def write(target: Path, content: bytes) -> None:
    """Write the whole file under another name beside `target`, which then takes its place. Raises DiskError where the disk is full."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    try:
        with disk.naming(target):
            partial.write_bytes(content)
            partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
