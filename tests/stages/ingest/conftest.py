"""A project whose inbox a test fills, ingested as the pipeline does."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, BasicTextSRStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from xraydenoise import contracts
from xraydenoise.data.config import IngestConfig, SplitConfig
from xraydenoise.data.sources import folder, phantom
from xraydenoise.params import MachineConfig, Params
from xraydenoise.stages import download, ingest


class Project:
    """A project folder with an inbox, and the stage in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def params(self, max_bad: float = 0.5, seed: int = 3, **datasets: object) -> Params:
        config = IngestConfig(size=64, max_megapixels=64, voi=False, max_bad=max_bad, split=SplitConfig(train=0.6, val=0.2, test=0.2))
        inbox = folder.Config(kind="folder", path=Path("inbox"))
        return Params.model_construct(
            seed=seed, machine=MachineConfig(device="cpu", threads=2), datasets={**datasets, "inbox": inbox}, ingest=config
        )

    def run(self, max_bad: float = 0.5, seed: int = 3, **datasets: object) -> None:
        """Download every dataset and hand it over as data.dvc does, then ingest."""
        chosen = self.params(max_bad, seed, **datasets)
        for name in chosen.datasets:
            download.run(chosen, name)
        shutil.rmtree("data", ignore_errors=True)
        shutil.copytree("downloads", "data")
        ingest.run(chosen)

    def images(self) -> pd.DataFrame:
        return contracts.read(Path("artifacts/ingest/manifest.parquet"), contracts.Images)

    def quarantine(self) -> pd.DataFrame:
        return contracts.read(Path("artifacts/ingest/quarantine.parquet"), contracts.Quarantine)

    def scan(self, name: str, number: int, patient: str, **entries: object) -> None:
        """A radiograph of its own in the inbox, whose header names `patient`; keywords set more header entries."""
        header = headed(SecondaryCaptureImageStorage)
        header.PatientID, header.Rows, header.Columns, header.SamplesPerPixel = patient, 96, 96, 1
        header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 0
        header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
        header.PixelData = np.rint(phantom.draw(96, 77, number, 0) * 65535).astype("<u2").tobytes()
        for keyword, entry in entries.items():
            setattr(header, keyword, entry)
        path = Path("inbox/images") / name
        path.parent.mkdir(exist_ok=True)
        header.save_as(path, enforce_file_format=True)

    def document(self, name: str) -> None:
        """A structured report in the inbox, as a hospital's CD holds beside its pictures."""
        headed(BasicTextSRStorage).save_as(Path("inbox/images") / name, enforce_file_format=True)


def headed(kind: UID) -> Dataset:
    """The entries that every DICOM file has."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = kind, generate_uid()
    return header


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project with an empty inbox, and the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox/images").mkdir(parents=True)
    return Project(tmp_path)


@pytest.fixture
def chests() -> phantom.Config:
    """Six patients with two radiographs each."""
    return phantom.Config(kind="phantom", path=Path("a"), patients=6, images_per_patient=2, size=96, seed=1)
