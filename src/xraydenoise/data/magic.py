"""What tells a DICOM file by its first bytes, whatever its name: for those that list files and decode none."""

from pathlib import Path

PREAMBLE = 128  # bytes before the magic
MAGIC = b"DICM"


def is_dicom(path: Path) -> bool:
    """Whether the file holds DICOM's magic after its preamble, whatever its name; one that cannot be read holds none."""
    try:
        if not path.is_file():  # a pipe would wait for its writer
            return False
        with path.open("rb") as file:
            return begins(file.read(PREAMBLE + len(MAGIC)))
    except OSError:
        return False


def begins(data: bytes) -> bool:
    """Whether these are the first bytes of a DICOM file."""
    return data[PREAMBLE : PREAMBLE + len(MAGIC)] == MAGIC
