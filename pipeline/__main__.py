"""`make run`: bring the whole pipeline up to date, then say which model is best and what to do next."""

import argparse
import fcntl
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

from xraydenoise.layers import lacking

try:
    from pipeline import command, crash, graph, lock, report, verify, versions
    from xraydenoise import params, profiles
    from xraydenoise.registry import presence
    from xraydenoise.stages import check, register
except ModuleNotFoundError as error:
    sys.exit(f"error: {lacking(error)}")

HOME = Path(".prefect")  # the flow's own Prefect: database and logs, of this project alone
BEFORE = HOME / "before"  # what DVC had written before the flow that runs, or that was killed


def main() -> int:
    """0 when every stage is up to date."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="Download, prepare, label, train, evaluate and register, by Prefect over the DVC stages. What is up to date is "
        "not run again; a run that was killed goes on where it was.",
        epilog="Every number is in params.yaml. The same stages without Prefect: `dvc repro`.",
    )
    parser.add_argument("--plan", action="store_true", help="say what would be run, and stop")
    parser.add_argument("--verify", action="store_true", help="hash all that DVC's cache and the work tree hold of the project, and stop")
    chosen = parser.parse_args()
    begun = time.monotonic()
    if chosen.plan:
        return _run(begun, only_plan=True)
    HOME.mkdir(exist_ok=True)
    with (HOME / "flow.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("error: another `python -m pipeline` runs in this project; wait for it, or end it", file=sys.stderr)
            return 1
        return _verify() if chosen.verify else _run(begun, only_plan=False)


def _verify() -> int:
    """0 when all is as DVC recorded it."""
    try:
        found = [*lock.mend(BEFORE), *verify.project(whole=True)]
    except Exception as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for line in found:
        print(line)
    print("All is as DVC recorded it." if not found else "`make run` makes again what is neither in the work tree nor in a remote.")
    return int(bool(found))


def _run(begun: float, only_plan: bool) -> int:
    try:
        checked = params.load()
        crash.release_outputs()
        for mended in lock.mend(BEFORE):
            print(mended, flush=True)
        if not only_plan:
            lock.keep(BEFORE)
        check.run(checked)
        for dropped in profiles.drop_others(checked):
            print(f"dropped {dropped}, which params.yaml no longer names (DVC's cache keeps it)", flush=True)
        for damaged in verify.project():
            print(damaged, flush=True)
        versions.keep_inbox()
        store = _missing(checked)
        plan = graph.plan(forced=("register",) if store and not only_plan else ())
    except sqlite3.DatabaseError as error:
        if not (renewed := crash.renew_tables()):
            print(f"error: {error}", file=sys.stderr)
            return 1
        print("\n".join(renewed), flush=True)
        return _run(begun, only_plan)
    except Exception as error:
        print("\n".join(f"error: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 1
    if store:
        way = "`make run` or `dvc repro --single-item --force register` puts it there" if only_plan else "registering it again"
        print(f"MLflow at {store} does not have the registered model, of which DVC knows nothing; {way}", flush=True)
    if not plan.stages:
        if not only_plan:
            lock.order(BEFORE, plan.order, completed=True)
        print(f"Nothing has changed: all {len(plan.order)} stages are up to date.\n")
        print(report.table(checked))
        return 0
    print(f"{len(plan.stages)} of {len(plan.order)} stages to run: {', '.join(plan.stages)}", flush=True)
    return 0 if only_plan else _flow(checked, plan, begun)


def _missing(checked: params.Params) -> str | None:
    """The chosen MLflow store where it lacks a model that stage register put elsewhere."""
    lacking = (presence.missing(checked.registry, track, register.record(track)["digest"]) for track in register.found())
    return next((store for store in lacking if store), None)  # of a track without a record, DVC runs that stage anyway


def _flow(checked: params.Params, plan: graph.Plan, begun: float) -> int:
    settings = {"PREFECT_HOME": str(HOME.resolve()), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    os.environ |= settings
    for elsewhere in ("PREFECT_API_URL", "PREFECT_API_KEY"):  # this flow closes what its own Prefect left, and must meet no other
        os.environ.pop(elsewhere, None)
    signal.signal(signal.SIGINT, command.interrupt)
    from pipeline import flow  # Prefect reads its settings when it is imported

    completed = False
    try:
        flow.run(checked, plan)
        completed = True
    except command.StageError as error:
        print("\n".join(f"error: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 1
    finally:
        lock.order(BEFORE, plan.order, completed)
    print(f"\nDone in {time.monotonic() - begun:.0f} s.\n")
    print(report.table(checked))
    return 0


if __name__ == "__main__":
    sys.exit(main())
