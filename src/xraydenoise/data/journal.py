"""What ingest has done so far, on disk as it is done: a row a file, its pixels, its signature; a killed run goes on behind its last row."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
import xxhash

from xraydenoise import disk
from xraydenoise.data import store
from xraydenoise.data.duplicates import LENGTH
from xraydenoise.data.picture import MEMORY
from xraydenoise.data.workers import CRASH, TIMEOUT

PASSING = (CRASH, MEMORY, TIMEOUT)  # reasons that a machine with more memory or less to do may not find again
CHUNK = 1000  # rows that are read at a time, so that memory holds a compact table and never all rows as objects


class Journal:
    """A folder with rows.jsonl, pixels.npy and signatures.npy; under another `key` (params, files, code) it starts anew.

    Rows are dicts of plain values; one with an `offset` owns `height` x `width` pixels and a signature. A row stands behind its checksum
    and holds that of its pixels and signature, so whatever was lost or changed on the disk, only rows that are whole count. As pictures
    lie in the order of the files, a row that is damaged, or was refused for a passing reason, is written again with all behind it.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.rows = folder, folder / "rows.jsonl"
        self.pixels, self.signatures = folder / "pixels.npy", folder / "signatures.npy"
        if not (folder / "key").exists() or (folder / "key").read_bytes() != key.encode():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            disk.write(folder / "key", key)
        for finished in (self.pixels, self.signatures):
            if finished.exists():
                finished.replace(store.partial(finished))
        self.done, self._bytes, self._pixels, self._pictures = (0, 0, 0, 0)
        self._recover()
        if self.rows.exists():
            os.truncate(self.rows, self._bytes)  # now, so that nobody reads a row that does not count

    def __enter__(self) -> "Journal":
        self._lines = self.rows.open("ab")
        self._store = store.Writer(self.pixels, kept=self._pixels)
        self._store.__enter__()
        self._signed = store.Writer(self.signatures, np.float32, kept=self._pictures * LENGTH)
        self._signed.__enter__()
        return self

    def append(self, row: dict[str, Any], pixels: np.ndarray | None = None, signature: np.ndarray | None = None) -> None:
        """Keep what became of one file; the row of a picture gets its `offset`, `height` and `width`."""
        if pixels is not None and signature is not None:
            row = row | {"offset": self._store.append(pixels), "height": pixels.shape[0], "width": pixels.shape[1]}
            row["owned"] = checksum(pixels.tobytes() + signature.tobytes())
            self._signed.append(signature[None])
            self._store.flush()
            self._signed.flush()
        content = json.dumps(row).encode()
        with disk.naming(self.rows):
            self._lines.write(f"{checksum(content)} ".encode() + content + b"\n")
            self._lines.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):  # what a full disk did not take is not taken now
            self._lines.close()
        self._store.__exit__(kind, error, trace)
        self._signed.__exit__(kind, error, trace)

    def read(self) -> Iterator[dict[str, Any]]:
        """The rows, in order."""
        if self.rows.exists():
            with self.rows.open("rb") as lines:
                for line in lines:
                    yield json.loads(line.partition(b" ")[2])

    def table(self, columns: list[str], having: str) -> pd.DataFrame:
        """These columns of the rows that have a value under `having`."""
        parts: list[pd.DataFrame] = []
        chunk: list[dict[str, Any]] = []
        for row in self.read():
            if row.get(having) is not None:
                chunk.append(row)
            if len(chunk) == CHUNK:
                parts.append(pd.DataFrame(chunk, columns=columns))
                chunk = []
        parts.append(pd.DataFrame(chunk, columns=columns))
        return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)

    def _recover(self) -> None:
        """Count the rows that are whole, with their pixels and signatures."""
        if not self.rows.exists():
            return
        with self.rows.open("rb") as lines, store.unfinished(self.pixels) as pixels, store.unfinished(self.signatures) as signatures:
            for line in lines:
                if not line.endswith(b"\n"):  # a kill came while it was written
                    return
                told, _, content = line[:-1].partition(b" ")
                row = json.loads(content) if told == checksum(content).encode() else None
                if row and _passes(row):
                    return
                area = row["height"] * row["width"] if row and "offset" in row else 0
                if row is None or (area and row["owned"] != checksum(pixels.read(2 * area) + signatures.read(4 * LENGTH))):
                    print(f"{self.rows}: from row {self.done + 1} on it is damaged, or what that row owns is; those files are done again")
                    return
                self.done, self._bytes = self.done + 1, self._bytes + len(line)
                self._pixels, self._pictures = self._pixels + area, self._pictures + (area > 0)


def checksum(content: bytes) -> str:
    """XXH3 (Collet 2019), as of pictures: it does 30 GB/s, so what a resumed run checks costs it little more than to read."""
    return xxhash.xxh3_64_hexdigest(content)


def _passes(row: dict[str, Any]) -> bool:
    return "offset" not in row and row["reason"] in PASSING
