"""Stage `download NAME`: fetch one dataset into downloads/NAME and list its files."""

import shutil
from pathlib import Path

from xraydenoise import contracts
from xraydenoise.params import Params

ROOT = Path("downloads")


def run(params: Params, name: str) -> None:
    """Empty downloads/`name`, fill it from its source, list it in manifest.parquet; FAMILY:PATIENT keeps patients of two sets apart."""
    source = params.datasets[name]
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = source.fetch(folder)
    files["patient"] = f"{source.family or name}:" + files["patient"]  # null stays null
    contracts.write(files, folder / "manifest.parquet", contracts.Downloads)
    fetched = files.loc[files["reason"].isna(), "path"]
    megabytes = sum((folder / path).stat().st_size for path in fetched) / 1e6
    warning = f"; {len(files) - len(fetched)} could not be fetched, and ingest tells why" if len(files) > len(fetched) else ""
    warning += "" if len(files) else f"; there is no image in {source.path}"
    print(f"download {name}: {len(fetched)} files, {megabytes:.1f} MB, from {source.kind}{warning}")
