"""The champion: which version it is, its weights, and what becomes of a candidate by the gate's verdict."""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xraydenoise.evaluation.verdict import Verdict
from xraydenoise.registry import package, runs, versions
from xraydenoise.registry.runs import Method
from xraydenoise.registry.store import Store
from xraydenoise.registry.versions import CHALLENGER, CHAMPION, DIGEST

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CARD = "model_card.md"
DESCRIPTION = 5000  # characters that MLflow's databases have for it
KEPT = Path("work/champion")  # copies of champions, a folder a digest


@dataclass(frozen=True)
class Current:
    """The version that is champion."""

    name: str  # of the registered model
    version: str
    method: str
    track: str
    digest: str  # of its weights and config
    test_set: str  # on which it was last registered; "" where an older release did
    split: str  # seed and shares by which its patients were split; "" where an older release did


def current(store: Store, name: str) -> Current | None:
    """The champion of `name`, if there is one."""
    found = versions.holder(store, name, CHAMPION)
    if found is None:
        return None
    tags = found.tags
    return Current(name, str(found.version), tags["model"], tags["track"], tags[DIGEST], tags.get("test_set", ""), tags.get("split", ""))


def download(store: Store, champion: Current) -> Path:
    """A local folder with the champion's config.json and weights.safetensors, fetched once from wherever MLflow keeps them.

    Raises RuntimeError where they are gone, or are not those that were registered.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    kept = KEPT / champion.digest
    if runs.digest(_trained(kept)) == champion.digest:
        return kept
    uri = f"models:/{champion.name}/{champion.version}"
    way_out = "roll back, or take the alias from it in MLflow's pages"
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        try:
            files = store.client.get_model_version_download_uri(champion.name, champion.version)
            download_artifacts(f"{files}/artifacts/{champion.method}", dst_path=folder)
        except (MlflowException, OSError) as error:
            raise RuntimeError(f"{uri}, the champion: its files are gone ({str(error).splitlines()[0]}); {way_out}") from error
        loaded = next((path.parent for path in Path(folder).rglob("weights.safetensors")), Path(folder))
        if runs.digest(_trained(loaded)) != champion.digest:
            raise RuntimeError(f"{uri}, the champion: its files are not those that were registered; {way_out}")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(loaded, kept)
    return kept


def register(store: Store, name: str, method: Method, verdict: Verdict, test_set: str, split: str, card: str) -> dict[str, str]:
    """Register a trained model under `name`, its weights once, and give it the alias of the gate's verdict.

    `test_set` is the identity of the pictures it was weighed on, `split` tells seed and shares by which patients were split, `card` is its
    model card, Markdown. Returns a record without ids, versions and times, so that it is the same in every clone.
    Raises ValueError where the verdict is on another model, or takes no account of the champion that stands.
    """
    if verdict.candidate != method.name:
        raise ValueError(f"{method.name}: the verdict is on {verdict.candidate}")
    digest = runs.digest(method.outputs())
    known = next((found for found in versions.search(store, name, digest) if versions.has_files(store, found)), None)
    found = known or _version(store, name, method, digest)
    versions.tag(store, found, test_set=test_set, split=split)
    _explain(store, found, verdict, card)
    if verdict.alias == CHAMPION:
        _promote(store, found)
    else:
        _challenge(store, found)
    return {"name": name, "alias": verdict.alias, "model": method.name, "track": method.track, "digest": digest, "test_set": test_set}


def _trained(folder: Path) -> tuple[Path, Path]:
    """What `Method.outputs` names, in another folder."""
    return folder / "config.json", folder / "weights.safetensors"


def _version(store: Store, name: str, method: Method, digest: str) -> "ModelVersion":
    """Log the model and make a version of it."""
    from mlflow.exceptions import MlflowException

    model, run = package.log(store, method, {DIGEST: digest})
    try:
        store.client.create_registered_model(name, description="Removes noise from radiographs. Not for diagnostic use.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {DIGEST: digest, "model": method.name, "track": method.track}
    return store.client.create_model_version(name, f"models:/{model}", run, tags=tags, model_id=model)


def _explain(store: Store, found: "ModelVersion", verdict: Verdict, card: str) -> None:
    """Attach the model card, and the reasons as description. That a champion stays so hides no earlier reason."""
    told = [*verdict.reasons, *verdict.warnings, f"The model card is {CARD} among its files. Not for diagnostic use."]
    text = "\n\n".join(told)[:DESCRIPTION]
    stays = verdict.alias == CHAMPION and not verdict.promoted
    if found.description != text and not (found.description and stays):
        store.client.update_model_version(found.name, str(found.version), text)
    if found.tags.get(CARD) != (digest := hashlib.sha256(card.encode()).hexdigest()):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, CARD)
            path.write_text(card, encoding="utf-8")
            store.client.log_model_artifact(versions.model(found), str(path))
        versions.tag(store, found, **{CARD: digest})


def _promote(store: Store, found: "ModelVersion") -> None:
    """Make a version champion, and keep the way back: to the version that it replaces, or where both are alike, that one's own."""
    old, line, at = versions.holder(store, found.name, CHAMPION), [], versions.now()
    if versions.same(old, found):
        return
    if old is not None:
        line = versions.before(old) if old.tags.get(DIGEST) == found.tags[DIGEST] else [str(old.version), *versions.before(old)]
        versions.tag(store, old, replaced_at=at, replaced_by=str(found.version))
    versions.tag(store, found, **{"promoted_at": at, versions.BEFORE: ",".join(line)})
    store.client.set_registered_model_alias(found.name, CHAMPION, str(found.version))
    if versions.same(versions.holder(store, found.name, CHALLENGER), found):
        store.client.delete_registered_model_alias(found.name, CHALLENGER)


def _challenge(store: Store, found: "ModelVersion") -> None:
    """Make a version challenger. The champion stays in its place."""
    if versions.same(versions.holder(store, found.name, CHAMPION), found):
        raise ValueError(f"{found.tags['model']}: is the champion of {found.name}, of which the verdict does not know; give it to the gate")
    if not versions.same(versions.holder(store, found.name, CHALLENGER), found):
        store.client.set_registered_model_alias(found.name, CHALLENGER, str(found.version))
