"""What is to be run, in which order: asked of DVC, whose graph and status are the only truth."""

from dataclasses import dataclass
from pathlib import Path

import dvc.repo
import dvc.repo.reproduce
import networkx
from dvc.dvcfile import PROJECT_FILE
from dvc.scm import NoSCM

STEPS = ("download", "prepare", "label", "train", "evaluate", "register")
STEP_OF = {
    "download": "download",
    "start": "download",
    "data.dvc": "prepare",
    "ingest": "prepare",
    "enhance": "prepare",
    "degrade": "prepare",
    "label": "label",
    "classifier": "train",
    "train": "train",
    "evaluate": "evaluate",
    "baseline": "evaluate",
    "reproduce": "evaluate",
    "protocols": "evaluate",
    "compare": "evaluate",
    "register": "register",
}


@dataclass(frozen=True)
class Plan:
    """The stages that are stale, are forced or follow such a one, in DVC's own order."""

    stages: tuple[str, ...]  # by DVC address: train@dncnn, data.dvc
    upstream: dict[str, tuple[str, ...]]  # of each stage, the planned ones that it waits for
    step: dict[str, str]  # the pipeline step that runs it
    order: tuple[str, ...]  # every stage of the project as a plain `dvc repro` walks them
    forced: tuple[str, ...]  # those to run though DVC finds them up to date

    def of_step(self, step: str) -> list[str]:
        return [stage for stage in self.stages if self.step[stage] == step]


def plan(forced: tuple[str, ...] = ()) -> Plan:
    """Ask DVC what is stale besides what is `forced`.

    Raises dvc.exceptions.DvcException for a dvc.yaml that does not hold, ValueError for a .gitignore that is not whole.
    """
    with dvc.repo.Repo() as repo:
        _refuse_unignored(repo)
        graph = dvc.repo.reproduce.get_active_graph(repo.index.graph)  # edges run from a stage to what it depends on
        targets = dvc.repo.reproduce.collect_stages(repo, [PROJECT_FILE])
        order = [stage.addressing for stage in dvc.repo.reproduce.plan_repro(graph, targets)]
        depends = networkx.relabel_nodes(graph, {stage: stage.addressing for stage in graph})
        stale = {*repo.status(), *forced}
    planned = {name for name in order if name in stale or networkx.descendants(depends, name) & stale}
    step: dict[str, str] = {}
    for name in order:
        own = STEP_OF.get(name.split("@")[0], STEPS[0])
        before = [step[other] for other in depends.successors(name)]
        step[name] = max([own, *before], key=STEPS.index)  # a stage never runs in a step before what it needs
    upstream = {name: tuple(sorted(set(depends.successors(name)) & planned)) for name in planned}
    return Plan(tuple(name for name in order if name in planned), upstream, step, tuple(order), forced)


def _refuse_unignored(repo: dvc.repo.Repo) -> None:
    """DVC names an output that git does not ignore in a .gitignore beside it, and hashes that with the folder: other stages go stale."""
    if isinstance(repo.scm, NoSCM):
        return
    for out in repo.index.outs:
        nested = Path(out.fs_path).parent != Path(repo.root_dir)
        if nested and out.use_cache and out.stage.cmd and not repo.scm.is_ignored(out.fs_path):
            raise ValueError(f".gitignore: does not name {out.def_path} or its folder, which DVC versions; `git checkout .gitignore`")
