"""Where pictures come from: one file a kind, whose Config fetches files into a folder and lists them."""

from abc import abstractmethod
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import pandas as pd
from pydantic import BeforeValidator, SerializeAsAny

from xraydenoise import kinds

FILES = "files"  # the folder below a dataset's own that holds its files


class Row(NamedTuple):
    """One file of a dataset, a row of contracts.Downloads."""

    path: str  # relative to the dataset's folder
    patient: str | None
    view: str | None
    label: str | None
    licence: str
    origin: str
    spacing: float | None = None  # mm a pixel, where the source knows it and the file does not say
    reason: str | None = None  # why the file could not be fetched: it goes to quarantine under this code
    detail: str | None = None


class Source(kinds.Config):
    """What every kind of source offers; each kind's `Config` is one."""

    kind: str
    path: Path  # what DVC watches: the stage runs again when it changes
    family: ClassVar[str] = ""  # datasets of one family share their patients; "": a dataset's patients are its own

    def check(self) -> None:
        """Look, before any compute, for what `fetch` would refuse; raises as it does."""

    @abstractmethod
    def fetch(self, destination: Path) -> pd.DataFrame:
        """Put the files below `destination`/files and list them: contracts.Downloads, `path` relative to `destination`.

        `patient` is a name within the family, or null. A file that cannot be fetched is listed with its reason, so that it reaches the
        quarantine. Raises ValueError or OSError, with one line that names the thing, the value and the way out, where the dataset as a
        whole cannot be had; nothing is left out in silence.
        """


SourceConfig = Annotated[SerializeAsAny[Source], BeforeValidator(kinds.by_kind("xraydenoise.data.sources"))]


def listing(rows: list[Row]) -> pd.DataFrame:
    """`rows` as a table of contracts.Downloads."""
    return pd.DataFrame(rows, columns=list(Row._fields), dtype="str").astype({"spacing": float})
