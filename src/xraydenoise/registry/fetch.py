"""The files of a registered version, fetched from MLflow once, and proved to be those that were registered."""

import contextlib
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xraydenoise import checksums
from xraydenoise.data import learnt
from xraydenoise.registry import runs, store
from xraydenoise.registry.versions import DIGEST, OWN

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

LEARNT = learnt.FILE  # the pictures that the model was trained on and chosen by
KEPT = Path("work/registered")  # a folder a digest
WAY_OUT = "give its alias to another version (`xraydenoise rollback`, or MLflow's pages), or name another version"


@dataclass(frozen=True)
class Registered:
    """A version that this project registered."""

    name: str  # of the registered model
    version: str
    method: str
    digest: str  # identity of the network
    learnt: str  # digest of LEARNT; "" where the version has no such file

    @property
    def uri(self) -> str:
        """By which MLflow finds the version."""
        return f"models:/{self.name}/{self.version}"


def fetch(uri: str) -> Path:
    """The folder of the version that `uri` names: config.json, weights.safetensors, what the train stage left beside them, and LEARNT.

    `uri` is models:/NAME@ALIAS or models:/NAME/VERSION. The store is that which MLFLOW_TRACKING_URI names, else mlruns/ in the current
    folder, of which nothing is changed; the files are kept in work/. Raises, with one line that tells the way out, ValueError where the
    address, the model, the alias or the version is not so, FileNotFoundError where there is no store, RuntimeError where MLflow fails, or
    the files are gone or are not those that were registered (of a version without `checksums`, which is older: those of the network), and
    ModuleNotFoundError where MLflow is not installed.
    """
    named = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))", uri)
    if named is None:
        raise ValueError(f"model: {uri!r} is no address of a registered model; expected models:/NAME@ALIAS or models:/NAME/VERSION")
    name, alias, version = named.groups()
    with store.reading() as (client, shown):
        model = _model(client, uri, name, shown)
        store.named(name, model.name)
        if alias is not None:
            if alias not in model.aliases:
                raise ValueError(f"{uri}: {name} in {shown} has no alias {alias}; found {_listed(model.aliases)}")
            version = str(model.aliases[alias])
        return download(client, of(_version(client, uri, name, version, shown)))


def of(found: "ModelVersion") -> Registered:
    """What a version tells of itself. Raises ValueError where this project did not register it."""
    if missing := [tag for tag in OWN if tag not in found.tags]:
        raise ValueError(
            f"{found.name}: version {found.version} lacks the tags {', '.join(missing)}, so this project did not register it; {WAY_OUT}"
        )
    return Registered(found.name, str(found.version), found.tags["model"], found.tags[DIGEST], found.tags.get(LEARNT, ""))


def download(client: "MlflowClient", version: Registered) -> Path:
    """A local folder with the version's config.json, weights.safetensors and, if it has one, LEARNT, fetched once from MLflow.

    Raises RuntimeError where they are gone, or are not those that were registered.
    """
    kept = KEPT / version.digest
    if _difference(kept, version):
        with _fetched(client, version) as folder:
            if _difference(kept, version):  # another process may have been faster
                shutil.rmtree(kept, ignore_errors=True)
                folder.rename(kept)
    return kept


def intact(client: "MlflowClient", found: "ModelVersion") -> bool:
    """Whether MLflow still has a version's files, also those of a copy, as this project registered them."""
    try:
        with _fetched(client, of(found)):
            return True
    except (RuntimeError, ValueError):  # gone or damaged; not this project's
        return False


@contextlib.contextmanager
def _fetched(client: "MlflowClient", version: Registered) -> Iterator[Path]:
    """The folder of a version's network with LEARNT in it, fetched for as long as the block lasts, and checked. Raises as `download`."""
    from mlflow.artifacts import download_artifacts, list_artifacts

    files = client.get_model_version_download_uri(version.name, version.version)
    if not list_artifacts(files):
        raise RuntimeError(f"{version.uri}: its files are gone; {WAY_OUT}")
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        root = Path(download_artifacts(files, dst_path=folder))
        loaded = next((path.parent for path in root.rglob("weights.safetensors")), root)
        if version.learnt and (root / LEARNT).exists():
            (root / LEARNT).replace(loaded / LEARNT)
        try:
            told = _difference(loaded, version)
            if (root / checksums.FILE).exists():  # older versions have none
                checksums.check(root)
        except ValueError as error:
            told = str(error)
        if told:
            raise RuntimeError(f"{version.uri}: its files are not those that were registered ({told}); {WAY_OUT}")
        yield loaded


def _difference(folder: Path, version: Registered) -> str:
    """How the files in `folder` differ from those of the version; "" where they do not."""
    path = folder / LEARNT
    learnt = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
    if learnt != version.learnt:
        return f"{LEARNT}: expected sha256 {version.learnt or 'of no file'}, found {learnt or 'no such file'}"
    try:
        found = runs.identity(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return "config.json and weights.safetensors: one is missing or cannot be read"
    return "" if found == version.digest else f"weights.safetensors and `network` of config.json: expected {version.digest}, found {found}"


def _model(client: "MlflowClient", uri: str, name: str, shown: str) -> "RegisteredModel":
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = _listed(model.name for model in client.search_registered_models(max_results=1000))
        raise ValueError(f"{uri}: {shown} has no registered model {name}; found {known}") from error


def _version(client: "MlflowClient", uri: str, name: str, version: str, shown: str) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(name, version)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = sorted(int(found.version) for found in client.search_model_versions(f"name = '{name}'"))
        raise ValueError(f"{uri}: {name} in {shown} has no version {version}; found {_listed(map(str, known))}") from error


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
