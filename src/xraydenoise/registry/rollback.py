"""The way back: the previous champion in its place again, and weights that a person took back not promoted anew by themselves."""

from dataclasses import replace

from xraydenoise.evaluation.verdict import Verdict
from xraydenoise.registry import fetch, versions
from xraydenoise.registry.store import Store
from xraydenoise.registry.versions import BEFORE, CHALLENGER, CHAMPION, DIGEST, TAKEN_BACK
from xraydenoise.tables import text


def rollback(store: Store, name: str, reason: str) -> dict[str, str]:
    """Make the version champion again that was so before; a second call goes further back.

    Passed over are versions whose files are gone or damaged, and weights that were themselves rolled back, which may have been champion
    twice. Both versions tell of it by tags. Returns what was done. Raises ValueError where there is no reason, no champion or none before
    it.
    """
    if not reason.strip():
        raise ValueError("rollback: needs a reason, which the versions keep as a tag")
    standing = versions.champion(store, name)
    if standing is None:
        raise ValueError(f"{name}: has no champion, so there is nothing to roll back")
    line = versions.before(standing)
    known = {str(found.version): found for found in versions.search(store, name)}
    taken = {standing.tags[DIGEST], *(found.tags.get(DIGEST) for found in known.values() if found.tags.get(TAKEN_BACK))}
    left = [version for version in line if version not in known or known[version].tags.get(DIGEST) not in taken]
    target = next((known[version] for version in left if version in known and fetch.intact(store.client, known[version])), None)
    if target is None:
        gone = f"the files of those before it (versions {', '.join(left)}) are gone or damaged"
        none = f"no version was champion before it{' that was not rolled back' if line else ''}"
        raise ValueError(f"{name}: version {standing.version} ({standing.tags['model']}) cannot be rolled back: {gone if left else none}")
    at, place = versions.now(), line.index(str(target.version))
    restored = {"restored_at": at, "restored_from": str(standing.version), "restored_because": reason}
    versions.tag(store, target, **restored, **{BEFORE: ",".join(line[place + 1 :])})
    store.client.set_registered_model_alias(name, CHAMPION, str(target.version))
    versions.tag(store, standing, **{TAKEN_BACK: at}, rolled_back_to=str(target.version), rolled_back_because=reason)
    versions.unchallenge(store, target)
    told = f"Restored at {at} because version {standing.version} was rolled back: {text(reason)}"
    versions.describe(store, target, f"{told}\n\n{target.description}" if target.description else told)
    done = {"name": name, "reason": reason, "at": at, "from": str(standing.version), "from_model": standing.tags["model"]}
    return done | {"to": str(target.version), "to_model": target.tags["model"]}


def vetoed(store: Store, name: str, digest: str, verdict: Verdict) -> Verdict:
    """The verdict, but no promotion of weights (by their digest) that a person rolled back: challenger, with that person's reason."""
    for found in versions.search(store, name, digest) if verdict.promoted else []:
        if at := found.tags.get(TAKEN_BACK):
            told = f"was rolled back at {at} ({found.tags['rolled_back_because']})"
            taken = f"take the tag {TAKEN_BACK} from version {found.version} in MLflow's pages"
            way_out = f"{taken}, then `dvc repro -fs register`, to let it be promoted again"
            reasons = (f"{verdict.candidate} {told}; {way_out}.", *verdict.reasons)
            return replace(verdict, promoted=False, alias=CHALLENGER, reasons=reasons)
    return verdict
