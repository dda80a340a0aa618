"""The digests of all files of a folder beside them, as `sha256sum --check` reads them: damage shows wherever the folder is copied.

The file travels with registered models.
"""

import hashlib
from pathlib import Path

FILE = "SHA256SUMS"


def write(folder: Path) -> None:
    """Write `FILE` into `folder`: the digest of every file that lies below."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths]
    (folder / FILE).write_text("".join(lines), encoding="utf-8")


def check(folder: Path) -> None:
    """Raise ValueError with one line that names the first file that is missing or is not as it was, FileNotFoundError without `FILE`.

    Files that came later are not looked at.
    """
    for line in (folder / FILE).read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n"):
        expected, _, name = line.partition("  ")
        path = folder / name
        found = f"sha256 {_digest(path)}" if name and path.is_file() else "no such file"
        if found != f"sha256 {expected}":
            raise ValueError(f"{name or line}: expected sha256 {expected} of {FILE}, found {found}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
