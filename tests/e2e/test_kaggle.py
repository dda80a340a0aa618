"""The full profile by the real `dvc repro`, small, with both Kaggle sets in their true layout from a server on this machine."""

import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

from xraydenoise.data.sources import phantom

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
Kaggle = runpy.run_path(str(ROOT / "tests" / "data" / "sources" / "conftest.py"))["Kaggle"]
LABELS = {"NORMAL": "Normal", "PNEUMONIA": "Pnemonia"}  # of the pneumonia set's folders, as CoronaHack's table spells them
LOOPBACK = """import sys

if "download" in sys.orig_argv:  # the other stages never ask Kaggle
    from kagglesdk import kaggle_env

    kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = "http://127.0.0.1:{port}"
"""


def encoded(patient: int, image: int, suffix: str, rgb: bool) -> bytes:
    pixels = np.rint(phantom.draw(96 + 8 * image, 11, patient, image) * 255).astype(np.uint8)
    return cv2.imencode(suffix, cv2.merge([pixels] * 3) if rgb else pixels)[1].tobytes()


def pneumonia() -> dict[str, bytes]:
    """SPLIT/LABEL/NAME: ten patients with three pictures each, of which some stand in two of the set's own splits, as in the true one."""
    files = {}
    for patient in range(10):
        for image in range(3):
            split = "val" if (patient, image) in ((4, 2), (9, 2)) else "test" if patient % 5 == 3 or (patient, image) == (6, 1) else "train"
            if patient < 5:
                name = f"NORMAL/{'NORMAL2-' * (patient % 2)}IM-{100 + patient:04}-0001{f'-000{image}' * (image > 0)}.jpeg"
            else:
                name = f"PNEUMONIA/person{patient}_{'virus' if image else 'bacteria'}_{10 * patient + image}.jpeg"
            files[f"{split}/{name}"] = encoded(patient, image, ".jpeg", rgb=patient == 7)
    return files


def archives(files: dict[str, bytes]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What the two archives hold: the pneumonia set twice over and with what macOS leaves, CoronaHack with its train and test files."""
    once = {f"chest_xray/{name}": content for name, content in files.items()}
    twice = {f"chest_xray/{name}": content for name, content in once.items()}
    macos = {f"chest_xray/__MACOSX/{Path(name).parent}/._{Path(name).name}": b"\0\5\x16\7Mac OS X" for name in once}
    folder = "Coronahack-Chest-XRay-Dataset/Coronahack-Chest-XRay-Dataset"
    shared = {name: content for name, content in files.items() if not name.startswith("val/")}
    corona = {f"{folder}/{name.split('/')[0]}/{name.split('/')[2]}": content for name, content in shared.items()}
    own = {f"train/1-s2.0-S014067362030370{image}-fx1_lrg.png": encoded(20 + image, 0, ".png", rgb=image == 1) for image in range(3)}
    corona |= {f"{folder}/{name}": content for name, content in own.items()}
    rows = [f"{Path(name).name},{LABELS[name.split('/')[1]]},{name.split('/')[0].upper()},," for name in shared]
    rows += [f"{Path(name).name},Pnemonia,TRAIN,Virus,COVID-19" for name in own]
    table = ",X_ray_image_name,Label,Dataset_type,Label_2_Virus_category,Label_1_Virus_category\n"
    corona["Chest_xray_Corona_Metadata.csv"] = (table + "".join(f"{count},{row}\n" for count, row in enumerate(rows))).encode()
    corona["Chest_xray_Corona_dataset_Summary.csv"] = b",Label,Image_Count\n0,Normal,15\n"
    return once | twice | macos | {"chest_xray/.DS_Store": b"\0"}, corona


def small_full() -> dict[str, object]:
    """The full profile with its datasets as they stand, and little to compute."""
    content = yaml.safe_load((ROOT / "profiles" / "full.yaml").read_text()) | {"seed": 0}  # few patients: a seed that fills all splits
    content["machine"] = {"device": "cpu", "threads": 1}
    content["ingest"]["size"] = 64
    content["enhance"] = {"presets": [0, 7], "noise": "before", "images": {"train": 1, "val": 1, "test": 1}, "region": 32}
    content["label"] |= {"tile": 64, "overlap": 32}
    content["train"] |= {"batch": 4, "patch": 32, "warmup": 2, "validate_every": 10, "precision": "fp32"}
    for section, names in (("models", ("dncnn", "dncnn_enhanced")), ("protocols", ("c_dncnn",))):
        content[section] = {name: content[section][name] | {"steps": 10} for name in names}
        for entry in content[section].values():
            entry["network"] |= {"channels": 8, "depth": 4}
    content["classifier"] |= {"channels": 2, "steps": 5}
    content["baselines"] = {name: content["baselines"][name] for name in ("noisy", "median", "total_variation")}
    content["baselines"]["total_variation"]["weights"] = [0.1, 0.2]
    content["evaluate"]["repeats"] |= {"pictures": 1, "draws": 6, "side": 48}
    content["evaluate"]["sweep"] |= {"pictures": 1, "gaussian": [0.1], "quantum": [30.0]}
    content["compare"]["resamples"] = 200
    return content


@pytest.fixture
def kaggle():
    server = Kaggle()
    server.start()
    yield server
    server.stop()


def test_the_full_profile_runs_from_kaggle_to_the_registry_and_leaks_nothing(fresh, kaggle, tmp_path):
    files = pneumonia()
    first, second = archives(files)
    kaggle.holds("paultimothymooney/chest-xray-pneumonia", first, version=2)
    kaggle.holds("praveengovi/coronahack-chest-xraydataset", second, version=3)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(LOOPBACK.format(port=kaggle.port))
    fresh.env = {key: value for key, value in fresh.env.items() if not key.startswith("KAGGLE")}
    fresh.env |= {"PYTHONPATH": f"{tmp_path / 'site'}:{fresh.env['PYTHONPATH']}", "NO_PROXY": "127.0.0.1,localhost"}
    fresh.env |= {"KAGGLE_CONFIG_DIR": str(tmp_path), "HOME": str(tmp_path)}  # nobody's token is sent to this server
    (fresh.root / "params.yaml").write_text(yaml.safe_dump(small_full(), sort_keys=False))

    assert fresh.repro() >= {
        "download@chest_xray_pneumonia",
        "download@coronahack",
        "download@inbox",
        "ingest",
        "train@dncnn",
        "compare",
        "register",
    }
    assert sorted(kaggle.asked) == ["DownloadDataset", "DownloadDataset"]
    assert list((fresh.root / "work" / "kaggle").iterdir()) == []
    assert (fresh.root / "mlruns" / "registered.json").stat().st_size > 0

    images = pd.read_parquet(fresh.root / "artifacts/ingest/manifest.parquet")
    quarantine = pd.read_parquet(fresh.root / "artifacts/ingest/quarantine.parquet")
    shared = {name for name in files if not name.startswith("val/")}
    assert set(quarantine["reason"]) == {"duplicate"}
    assert dict(quarantine["source"].value_counts()) == {"coronahack": len(shared)}
    assert dict(images["source"].value_counts()) == {"chest_xray_pneumonia": len(files), "coronahack": 3}
    proof = json.loads((fresh.root / "artifacts/ingest/leakage.json").read_text())
    assert (proof["leaks"], len(proof["pairs"]), {pair["how"] for pair in proof["pairs"]}) == ([], len(shared), {"exact"})
    assert images["image"].is_unique
    assert set(images["split"]) == {"train", "val", "test"}
    assert (images.groupby("patient")["split"].nunique() == 1).all()
    assert set(images["label"]) == {"normal", "pneumonia"}

    assert fresh.repro() == set()
    assert len(kaggle.asked) == 2
