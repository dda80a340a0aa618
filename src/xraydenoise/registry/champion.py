"""The champion: which version it is, and what becomes of a candidate by the gate's verdict."""

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from xraydenoise import disk
from xraydenoise.data.learnt import Learnt
from xraydenoise.evaluation.verdict import Verdict
from xraydenoise.registry import fetch, package, runs, versions
from xraydenoise.registry.fetch import LEARNT, Registered
from xraydenoise.registry.model_card import SERVES
from xraydenoise.registry.runs import Method
from xraydenoise.registry.store import Store
from xraydenoise.registry.versions import CHALLENGER, CHAMPION, DIGEST
from xraydenoise.tables import text

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CARD = "model_card.md"


def current(store: Store, name: str) -> Registered | None:
    """The champion of `name`, if there is one. Raises ValueError where the version that has the alias is none of this project's."""
    found = versions.champion(store, name)
    return fetch.of(found) if found else None


def unmoved(store: Store, name: str, weighed: Registered | None) -> "ModelVersion | None":
    """The version of `name` that is champion, and was so when a candidate was weighed. Raises ValueError where another took its place."""
    found = versions.champion(store, name)
    if (weighed.version if weighed else None) != (str(found.version) if found else None):
        before = f"version {weighed.version} ({weighed.method})" if weighed else "no version"
        now = f"version {found.version} ({found.tags['model']})" if found else "no version"
        raise ValueError(
            f"{name}: {before} was champion when the candidate was weighed, {now} is today; `dvc repro` weighs the candidate again"
        )
    return found


def register(
    store: Store, name: str, method: Method, verdict: Verdict, weighed: Registered | None, test_set: str, seen: Learnt | None, card: str
) -> dict[str, str]:
    """Register a trained model under `name`, its weights once, and give it the alias of the gate's verdict.

    `weighed` is the champion of which the verdict takes account, `test_set` the identity of the pictures it was reached on. `seen` are the
    pictures that the model learnt from, None where its start does not tell, `card` is its model card, Markdown. Returns a record without
    ids, versions and times, so that it is the same in every clone. Raises ValueError where the verdict is on another model, or another
    version is champion by now.
    """
    if verdict.candidate != method.name:
        raise ValueError(f"{method.name}: the verdict is on {verdict.candidate}")
    digest = runs.identity(method.folder)
    alike = [found for found in versions.search(store, name, digest) if versions.model(found)]  # a copy's files are another version's
    known = next((found for found in alike if fetch.intact(store.client, found)), None)
    found = known or _version(store, name, method, digest)
    versions.tag(store, found, test_set=test_set)
    # Where several trainings gave these weights, the last one's pictures: what it could do without, the weights know nothing of.
    if seen is not None:
        _attach(store, found, LEARNT, seen.content())
    _attach(store, found, CARD, card.encode())
    _describe(store, found, verdict)
    if verdict.alias == CHAMPION:
        _promote(store, found, weighed)
    else:
        _challenge(store, found, weighed)
    return {"name": name, "alias": verdict.alias, "model": method.name, "track": method.track, "digest": digest, "test_set": test_set}


def _version(store: Store, name: str, method: Method, digest: str) -> "ModelVersion":
    """Log the model and make a version of it."""
    from mlflow.exceptions import MlflowException

    model, run = package.log(store, method, {DIGEST: digest})
    try:
        told = f"Removes noise from {SERVES[method.track]}. Not for diagnostic use."
        store.client.create_registered_model(name, description=told)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    tags = {DIGEST: digest, "model": method.name, "track": method.track}
    return store.client.create_model_version(name, f"models:/{model}", run, tags=tags, model_id=model)


def _attach(store: Store, found: "ModelVersion", name: str, content: bytes) -> None:
    """Put a file among the version's files, unless it is there already; a tag of its name tells its digest."""
    if found.tags.get(name) != (digest := hashlib.sha256(content).hexdigest()):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            disk.write(path, content)
            store.client.log_model_artifact(versions.model(found), str(path))
        versions.tag(store, found, **{name: digest})


def _describe(store: Store, found: "ModelVersion", verdict: Verdict) -> None:
    """Give the reasons as description. That a champion stays so hides no earlier reason."""
    told = [*map(text, (*verdict.reasons, *verdict.warnings)), f"The model card is {CARD} among its files. Not for diagnostic use."]
    stays = verdict.alias == CHAMPION and not verdict.promoted
    if not (found.description and stays):
        versions.describe(store, found, "\n\n".join(told))


def _promote(store: Store, found: "ModelVersion", weighed: Registered | None) -> None:
    """Make a version champion, and keep the way back: to the version that it replaces, or where both are alike, that one's own.

    None is its own way back. A version from which a person took the alias still is one.
    """
    old, line, at = unmoved(store, found.name, weighed), [], versions.now()
    if versions.same(old, found):
        versions.unchallenge(store, found)
        return
    if last := old or versions.last_champion(store, found.name):
        line = versions.before(last) if last.tags[DIGEST] == found.tags[DIGEST] else [str(last.version), *versions.before(last)]
    versions.tag(store, found, **{versions.BEFORE: ",".join(version for version in line if version != str(found.version))})
    # The store's lock binds this machine alone, and MLflow sets no alias on a condition. Between two machines on one server these two calls
    # are the smallest window there is.
    unmoved(store, found.name, weighed)
    store.client.set_registered_model_alias(found.name, CHAMPION, str(found.version))
    versions.tag(store, found, promoted_at=at)
    if old is not None:
        versions.tag(store, old, replaced_at=at, replaced_by=str(found.version))
    versions.unchallenge(store, found)


def _challenge(store: Store, found: "ModelVersion", weighed: Registered | None) -> None:
    """Make a version challenger. The champion stays in its place."""
    unmoved(store, found.name, weighed)
    if not versions.same(versions.holder(store, found.name, CHALLENGER), found):
        store.client.set_registered_model_alias(found.name, CHALLENGER, str(found.version))
