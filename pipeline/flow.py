"""The parent flow and its subflows: one a pipeline step, in which each DVC stage is a task."""

import contextlib
import logging
import os
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from prefect import flow, get_run_logger, tags, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType, FlowRunFilterTags
from prefect.client.schemas.objects import StateType
from prefect.exceptions import UnfinishedRun
from prefect.futures import PrefectFuture
from prefect.logging.loggers import get_logger
from prefect.states import Crashed
from prefect.task_runners import ThreadPoolTaskRunner

from pipeline import command, graph
from xraydenoise.data.workers import cores
from xraydenoise.params import Params
from xraydenoise.registry import store

RANKING = Path("artifacts/compare/ranking.md")
ON_DEVICE = ("label", "classifier", "train", "evaluate", "reproduce")  # stages that take a GPU where there is one


def run(params: Params, plan: graph.Plan) -> None:
    """Run the planned stages: a subflow a step, a task a stage. Raises StageError when a stage fails for good."""
    settings = params.pipeline
    devices = _devices(params)
    free: queue.SimpleQueue[str] = queue.SimpleQueue()
    for device in devices:
        free.put(device)
    workers = max(len(devices), cores() // params.machine.threads, 1)

    remote = {f"download@{name}" for name, source in params.datasets.items() if source.kind == "kaggle"}  # a folder fails for good

    def reproduce(stage: str) -> None:
        """Bring one DVC stage up to date; DVC decides whether that is work or a cache hit."""
        logger = get_run_logger()
        dvc = [sys.executable, "-m", "pipeline.stage", stage, *(["--force"] if stage in plan.forced else [])]
        with _device(free if devices and stage.startswith(ON_DEVICE) else None) as env:
            command.run(stage, dvc, settings.time_limit * 60, lambda line: logger.info("%s", line), env)

    def step(stages: list[str]) -> None:
        """The stages of one step, each as soon as those it needs are done."""
        command.heed_signals()  # Prefect takes SIGTERM for itself when a flow begins, and would wait for what runs
        futures: dict[str, PrefectFuture[None]] = {}
        for stage in stages:
            retries = settings.retries if stage in remote else 0
            delays = [settings.retry_delay * 2**attempt for attempt in range(retries)]
            work = task(name=stage, task_run_name=stage, retries=retries, retry_delay_seconds=delays or 0)(reproduce)
            before = [futures[other] for other in plan.upstream[stage] if other in futures]
            futures[stage] = work.submit(stage, return_state=False, wait_for=before)
        for future in futures.values():
            future.wait()
        failed = []
        for future in futures.values():
            try:
                future.result()
            except command.StageError as error:
                failed.append(str(error))
            except UnfinishedRun:  # it waited for one that failed
                pass
        if failed:
            raise command.StageError("\n".join(failed))

    def parent() -> None:
        """Download, prepare, label, train, evaluate, register: what is stale of each."""
        command.heed_signals()
        for name in graph.STEPS:
            if stages := plan.of_step(name):
                mirrored = _mirrored(settings.sync_every, settings.time_limit * 60) if name == "train" else contextlib.nullcontext()
                runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=workers)
                with mirrored:
                    flow(name=name, task_runner=cast(Any, runner))(step)(stages)
        if RANKING.exists():
            create_markdown_artifact(key="ranking", markdown=RANKING.read_text(encoding="utf-8"), description="test scores of every method")

    for name in ("prefect.task_runs", "prefect.flow_runs"):
        logging.getLogger(name).addFilter(_worth_telling)
    close_crashed()
    with tags(store.project()):
        flow(name="xraydenoise")(parent)()


def _worth_telling(record: logging.LogRecord) -> bool:
    """Neither Prefect's traceback for each task and flow of a failed stage, which the state's line names, nor the server's pages."""
    return not (record.exc_info and isinstance(record.exc_info[1], command.StageError)) and not record.getMessage().startswith("View at ")


@contextlib.contextmanager
def _device(free: "queue.SimpleQueue[str] | None") -> Iterator[dict[str, str]]:
    """A stage's environment, with one of the free GPUs to itself."""
    if free is None:
        yield command.environment()
        return
    device = free.get()
    try:
        yield command.environment(CUDA_VISIBLE_DEVICES=device)
    finally:
        free.put(device)


def _devices(params: Params) -> list[str]:
    """The GPUs that stages may take, by the number CUDA_VISIBLE_DEVICES takes."""
    if params.machine.device == "cpu":
        return []
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [device for device in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if device.strip() not in ("", "-1")]
    import torch  # here, since it costs seconds that a run with nothing to do should not pay

    return [str(number) for number in range(torch.cuda.device_count())]


@contextlib.contextmanager
def _mirrored(every: float, limit: float) -> Iterator[None]:
    """Mirror running trainings into MLflow every so many seconds, so that their curves are live there; `limit`: seconds for one time."""
    done = threading.Event()

    def mirror() -> None:
        while not done.wait(every):
            try:
                command.run("sync", [sys.executable, "-m", "xraydenoise", "sync"], limit, lambda _: None, command.environment())
            except command.StageError as error:
                get_logger("xraydenoise").warning("the mirror into MLflow failed, and is tried again: %s", error)

    thread = threading.Thread(target=mirror, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def close_crashed() -> None:
    """Close the runs of this project that a killed flow left RUNNING. Only one flow runs in a project at a time, so none of them lives."""
    unfinished = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING]))
    own = FlowRunFilterTags(all_=[store.project()])
    with get_client(sync_client=True) as client:
        for left in client.read_flow_runs(flow_run_filter=FlowRunFilter(state=unfinished, tags=own)):
            client.set_flow_run_state(left.id, Crashed(message="its process was killed"), force=True)
            get_logger("xraydenoise").info("closed the run %s, which a killed process left behind", left.name)
