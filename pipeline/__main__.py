"""`make run`: bring the whole pipeline up to date, then say which model is best and what to do next."""

import argparse
import contextlib
import sqlite3
import sys
import time

try:
    from xraydenoise import environment
    from xraydenoise.layers import lacking

    environment.govern(project=True)  # before more is imported, as it could be another project's code
except (ImportError, ValueError) as error:
    told = error if isinstance(error, ValueError) else f"{error} (Python: {sys.executable}); `make run` sets up this folder's own .venv"
    sys.exit(f"error: {told}")
try:
    from pipeline import command, crash, graph, lock, report, server, verify, versions
    from xraydenoise import disk, params, profiles
    from xraydenoise.registry import presence
    from xraydenoise.registry import store as registry
    from xraydenoise.stages import check, register
except ModuleNotFoundError as error:
    sys.exit(f"error: {lacking(error)}")

ROOM = 16_000_000  # bytes; Prefect on a full disk does not start, and says so in thousand lines after minutes
BEFORE = server.HOME / "before"  # what DVC had written before the flow that runs, or that was killed


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
    with contextlib.ExitStack() as project:
        try:
            project.enter_context(profiles.alone())
        except OSError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        return _verify() if chosen.verify else _run(begun, only_plan=chosen.plan)


def _verify() -> int:
    """0 when all is as DVC recorded it."""
    try:
        found = [*lock.mend(BEFORE), *verify.project(whole=True)]
    except Exception as error:
        return _verify() if _renewed(error) else 1
    for line in found:
        print(line)
    print("All is as DVC recorded it." if not found else "`make run` makes again what is neither in the work tree nor in a remote.")
    return int(bool(found))


def _renewed(error: Exception) -> bool:
    """Whether damaged tables of hashes are behind `error` and were removed, so that it is worth to begin again; else it is printed."""
    full = disk.explained(error)
    if not full and isinstance(error, sqlite3.DatabaseError) and (renewed := crash.renew_tables()):
        print("\n".join(renewed), flush=True)
        return True
    print("\n".join(f"error: {line}" for line in str(full or error).splitlines()), file=sys.stderr)
    return False


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
        registry.mend_paths()
        store = _missing(checked)
        plan = graph.plan(forced=("register",) if store and not only_plan else ())
        if "label" in plan.stages and not only_plan:
            check.reach(checked)  # before anything is computed; a run that needs no label needs no network
        if plan.stages and not only_plan:
            disk.spare(server.HOME, ROOM, "the databases and logs of Prefect and MLflow, beside what the stages write,")
    except Exception as error:
        return _run(begun, only_plan) if _renewed(error) else 1
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
    for track in register.found():
        try:
            digest = register.record(track)["digest"]
        except ValueError:  # it is damaged: DVC finds that it changed and runs the stage anyway, as where there is none
            continue
        if store := presence.missing(checked.registry, track, digest):
            return store
    return None


def _flow(checked: params.Params, plan: graph.Plan, begun: float) -> int:
    command.heed_signals()
    completed = False
    try:
        server.start()
        with contextlib.chdir(server.HOME):  # Prefect reads its settings when it is imported
            from pipeline import flow
        flow.run(checked, plan)
        completed = True
    except (command.StageError, server.ServerError) as error:
        print("\n".join(f"error: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 1
    except command.Ended:
        print("ended by a signal; `make run` goes on where it was", file=sys.stderr)
        raise
    except Exception as error:
        if not (full := disk.explained(error)):
            raise
        print(f"error: {full}", file=sys.stderr)
        return 1
    finally:
        lock.order(BEFORE, plan.order, completed)
    print(f"\nDone in {time.monotonic() - begun:.0f} s.\n")
    print(report.table(checked))
    return 0


if __name__ == "__main__":
    sys.exit(main())
