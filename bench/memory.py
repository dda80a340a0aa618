"""Whether memory grows with the number of pictures: python bench/memory.py [FEW MANY]. Peak of stage ingest, workers included.

Makes a project of phantoms of 96 px with added noise (no two pictures alike), runs stage ingest on it in a process of its own, and asks
every tenth of a second how much memory that process and its children hold (proportional set size). Prints one JSON line: both peaks, and
their ratio.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import yaml

from xraydenoise import contracts
from xraydenoise.data import sources
from xraydenoise.data.sources import phantom

SIZE, PATIENTS = 96, 50  # px; phantoms that the pictures are made from


def make(project: Path, count: int) -> None:
    """data/many with `count` pictures, and params that name it."""
    params = yaml.safe_load(Path("profiles/sample.yaml").read_text(encoding="utf-8"))
    source = {"kind": "phantom", "path": ".", "patients": 1, "images_per_patient": 1, "size": SIZE, "seed": 1}
    params |= {"datasets": {"many": source}, "ingest": params["ingest"] | {"size": SIZE}}
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (project / "data/many/files").mkdir(parents=True)
    bodies = [phantom.draw(SIZE, 1, patient, 0) for patient in range(PATIENTS)]
    rng = np.random.default_rng(1)
    rows = []
    for number in range(count):
        waves = cv2.resize(rng.normal(0, 0.2, (12, 12)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)  # as unlike as patients are
        pixels = np.clip(bodies[number % PATIENTS] + waves, 0, 1)
        path = f"files/{number:06d}.png"
        cv2.imwrite(str(project / "data/many" / path), np.rint(pixels * 65535).astype(np.uint16))
        rows.append(sources.Row(path, f"many:{number:06d}", None, None, "CC0", "bench"))
    contracts.write(sources.listing(rows), project / "data/many/manifest.parquet", contracts.Downloads)


def peak(project: Path) -> tuple[float, float]:
    """MB, and seconds that the stage took."""
    start, most = time.monotonic(), 0
    environment = {**os.environ, "PYTHONPATH": str(Path("src").absolute())}
    stage = subprocess.Popen([sys.executable, "-m", "xraydenoise", "ingest"], cwd=project, env=environment)
    process = psutil.Process(stage.pid)
    while stage.poll() is None:
        held = 0
        for each in [process, *process.children(recursive=True)]:
            try:
                held += each.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        most = max(most, held)
        time.sleep(0.1)
    if stage.returncode:
        sys.exit(f"stage ingest ended with {stage.returncode}")
    return most / 1e6, time.monotonic() - start


def main() -> None:
    few, many = (int(count) for count in sys.argv[1:3]) if len(sys.argv) == 3 else (1000, 20000)
    found = {}
    for count in (few, many):
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), count)
            megabytes, seconds = peak(Path(folder))
        found[count] = megabytes
        print(json.dumps({"pictures": count, "peak_mb": round(megabytes), "seconds": round(seconds)}), flush=True)
    print(json.dumps({"ratio": round(found[many] / found[few], 3)}))


if __name__ == "__main__":
    main()
