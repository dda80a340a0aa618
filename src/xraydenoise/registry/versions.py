"""The versions of the registered model: by alias, by weights, and the tags that tell what became of each."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from xraydenoise.registry.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"  # aliases
DIGEST = "xraydenoise.digest"  # tag: identity of the network
OWN = ("model", "track", DIGEST)  # tags that every version has which this project registered
TAKEN_BACK = "rolled_back_at"  # tag: since when; a person takes it away to let the weights be promoted again
BEFORE = "previous"  # tag: the versions that were champion before this one, the latest first: the way back
DESCRIPTION = 5000  # characters that MLflow's databases have for it


def holder(store: Store, name: str, alias: str) -> "ModelVersion | None":
    """The version with this alias."""
    from mlflow.exceptions import MlflowException

    try:
        version = store.client.get_registered_model(name).aliases.get(alias)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return None if version is None else store.client.get_model_version(name, str(version))


def champion(store: Store, name: str) -> "ModelVersion | None":
    """The version that is champion. Raises ValueError where it is none of this project's."""
    found = holder(store, name, CHAMPION)
    if found and (missing := [tag for tag in OWN if tag not in found.tags]):
        raise ValueError(
            f"{name}: version {found.version} is champion but lacks the tags {', '.join(missing)}, so this project did not register it; "
            "give the alias champion to another version, or take it away, in MLflow's pages"
        )
    return found


def search(store: Store, name: str, digest: str | None = None) -> "list[ModelVersion]":
    """All versions, or those that hold these weights, the last changed first."""
    found = store.client.search_model_versions(f"name = '{name}'", max_results=10_000)
    return [version for version in found if digest in (None, version.tags.get(DIGEST))]


def same(one: "ModelVersion | None", other: "ModelVersion") -> bool:
    """Whether both are one version; MLflow gives its number as text or not, as the store pleases."""
    return one is not None and str(one.version) == str(other.version)


def model(found: "ModelVersion") -> str:
    """The id of the logged model behind a version; "" where it was copied from another version, or made by hand of other files."""
    own = re.fullmatch(r"models:/([^/@]+)", str(found.source))
    return own[1] if own else ""


def before(found: "ModelVersion") -> list[str]:
    """The versions that were champion before this one, the latest first."""
    return [version for version in found.tags.get(BEFORE, "").split(",") if version]


def last_champion(store: Store, name: str) -> "ModelVersion | None":
    """The version that became champion last, of those that were not rolled back; also where a person took the alias from it."""

    def since(found: "ModelVersion") -> str:
        return max(found.tags.get("promoted_at", ""), found.tags.get("restored_at", ""))

    were = [found for found in search(store, name) if since(found) and not found.tags.get(TAKEN_BACK)]
    return max(were, key=since, default=None)


def tag(store: Store, found: "ModelVersion", **tags: str) -> None:
    """Set those tags that are not so already."""
    for key, value in tags.items():
        if found.tags.get(key) != value:
            store.client.set_model_version_tag(found.name, str(found.version), key, value)


def describe(store: Store, found: "ModelVersion", text: str) -> None:
    """Give a version this description, or as much of it as fits."""
    if found.description != (fitting := text[:DESCRIPTION]):
        store.client.update_model_version(found.name, str(found.version), fitting)


def unchallenge(store: Store, found: "ModelVersion") -> None:
    """Take the alias challenger from a version that is champion."""
    if same(holder(store, found.name, CHALLENGER), found):
        store.client.delete_registered_model_alias(found.name, CHALLENGER)


def now() -> str:
    """ISO 8601, UTC; later ones sort behind."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
