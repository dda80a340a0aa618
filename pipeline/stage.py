"""One DVC stage brought up to date, in a process of its own: python -m pipeline.stage STAGE [--force]."""

import logging
import sys

from dvc.exceptions import DvcException
from dvc.logger import set_loggers_level
from dvc.repo import Repo, lock_repo
from dvc.stage import Stage
from dvc.stage.exceptions import StageCmdFailedError

from pipeline import verify

ATTEMPTS = 3  # damaged objects are used, or a damaged entry of the run cache; the stage is made again; it is up to date


def main(stage: str, force: bool) -> int:
    """`dvc repro --single-item STAGE`, after which what DVC's cache gave back is hashed; is that damaged, DVC gets another attempt."""
    for _ in range(ATTEMPTS):
        with Repo(_wait_for_lock=True) as repo:
            made = _reproduce(repo, stage, force)
            with lock_repo(repo), verify.known(repo) as table:
                outs = [out for each in (repo.stage.collect(stage) if made is None else made) for out in each.outs]
                damaged = verify.outputs(repo, outs, table)
                damaged += verify.runs(repo) if made is None else []
        for line in damaged:
            print(line, flush=True)
        if not damaged:
            return int(made is None)
    print(f"error: {stage}: what DVC writes is damaged at once, again and again; is the disk failing?", file=sys.stderr)
    return 1


def _reproduce(repo: Repo, stage: str, force: bool) -> list[Stage] | None:
    """The stage, if its outputs were made or came out of the cache; None if it failed. A command that fails says why by itself."""
    with set_loggers_level(logging.CRITICAL):
        try:
            made: list[Stage] = repo.reproduce(stage, single_item=True, force=force)
        except DvcException as error:
            if not isinstance(error.__cause__, StageCmdFailedError):
                print(f"error: {error.__cause__ or error}", file=sys.stderr)
            return None
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], force="--force" in sys.argv))
