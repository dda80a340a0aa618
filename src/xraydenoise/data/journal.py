"""What ingest has done so far, on disk as it is done: a row a file, its pixels, its signature; a killed run goes on behind its last row."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd

from xraydenoise.data import store
from xraydenoise.data.duplicates import LENGTH
from xraydenoise.data.picture import MEMORY
from xraydenoise.data.workers import CRASH, TIMEOUT

PASSING = (CRASH, MEMORY, TIMEOUT)  # reasons that a machine with more memory or less to do may not find again
CHUNK = 1000  # rows that are read at a time, so that memory holds a compact table and never all rows as objects


class Journal:
    """A folder with rows.jsonl, pixels.npy and signatures.npy; under another `key` (params, files, code) it starts anew.

    Rows are dicts of plain values; one with an `offset` owns `height` x `width` pixels and a signature. Pixels are handed to the system
    before the row that tells of them, so whatever moment a kill comes, the rows that are whole have their pixels. As pictures lie in the
    order of the files, a row that was refused for a passing reason is written again with all behind it.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.rows = folder, folder / "rows.jsonl"
        self.pixels, self.signatures = folder / "pixels.npy", folder / "signatures.npy"
        if not (folder / "key").exists() or (folder / "key").read_text(encoding="utf-8") != key:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "key").write_text(key, encoding="utf-8")
        self.complete = self.pixels.exists() and self.signatures.exists() and not any(_passes(row) for row in self.read())
        self.done, self._bytes, self._pixels, self._pictures = (0, 0, 0, 0)
        if not self.complete:
            for finished in (self.pixels, self.signatures):  # the kill came between the two, or a row does not count
                if finished.exists():
                    finished.rename(store.partial(finished))
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
            self._signed.append(signature[None])
            self._store.flush()
            self._signed.flush()
        self._lines.write(json.dumps(row).encode() + b"\n")
        self._lines.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lines.close()
        self._store.__exit__(kind, error, trace)
        self._signed.__exit__(kind, error, trace)
        self.complete = kind is None

    def read(self) -> Iterator[dict[str, Any]]:
        """The rows, in order."""
        if self.rows.exists():
            with self.rows.open("rb") as lines:
                for line in lines:
                    yield json.loads(line)

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
        """Count the rows of a killed run that are whole: line, pixels and signature."""
        pixels, values = store.written(self.pixels, np.uint16), store.written(self.signatures, np.float32)
        if not self.rows.exists():
            return
        with self.rows.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                row = json.loads(line)
                if _passes(row):
                    return
                area = row["height"] * row["width"] if "offset" in row else 0
                signed = self._pictures + (area > 0)
                if self._pixels + area > pixels or signed * LENGTH > values:
                    return
                self.done, self._bytes = self.done + 1, self._bytes + len(line)
                self._pixels, self._pictures = self._pixels + area, signed


def _passes(row: dict[str, Any]) -> bool:
    return "offset" not in row and row["reason"] in PASSING
