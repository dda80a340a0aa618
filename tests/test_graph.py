"""dvc.yaml names every file of code that a stage imports, so that an edit reruns what it may change."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest
import yaml

from xraydenoise import params
from xraydenoise.inputs import resolved
from xraydenoise.registry import package
from xraydenoise.stages import train

ROOT = Path(__file__).parents[1]
SOURCE = "src/xraydenoise"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PROFILES = sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))

LEFT_OUT = {  # imported by stages and not among their deps; what these import besides is not followed
    "": "a docstring",
    "params": "reads params.yaml, and so imports every room; DVC compares the entries themselves, as each stage's `params` names them",
    "contracts": "refuses wrong tables and changes none; another column comes with an edit of the stage that writes or reads it",
    "kinds": "finds the file that an entry's kind names; that file is among the deps",
    "disk": "writes files whole and names those that a disk did not take; what they hold comes from whoever writes them",
    "resumable": "proves half-done work; a result is the same whether it is taken up or made again",
    "transfer": "brings bytes that are then checked, by the server's hash, an archive's own or a pinned one",
    "logs": "times that no result depends on",
    "leash": "ends a process whose parent has died; no result depends on it",
    "progress": "prints lines; no result depends on it",
    "enhancement": "an edit reruns enhance and label, which make track enhanced; whoever reads that track depends on what they made",
}
KEPT = {"enhance": {"enhancement"}, "label": {"enhancement"}}  # what a stage does depend on all the same
NAMED = {  # modules that no import names, since params.yaml does: of the entry that the stage runs for, or all of a room
    "download": ["data.sources.${item.kind}"],
    "degrade": ["noise.*"],
    "train": ["models.${item.network.kind}", "training.objectives.${item.objective.kind}", "noise.*"],
    "evaluate": ["models.${item.network.kind}", "noise.*"],
    "baseline": ["evaluation.baselines.*", "noise.*"],
    "reproduce": ["models.${item.network.kind}", "training.objectives.${item.objective.kind}", "noise.*", "protocols.${item.protocol}"],
    "protocols": ["protocols.*", "noise.*", "evaluation.baselines.*"],
    "compare": ["models.*", "noise.*", "evaluation.baselines.*"],
    "register": ["models.*", "registry.pyfunc"],
}


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("xraydenoise")


def items(stage: str, profile: str) -> Iterator[tuple[str, object]]:
    """Key and entry of each run of a stage; one empty pair where it has no foreach."""
    if "foreach" not in STAGES[stage]:
        yield "", {}
        return
    content = yaml.safe_load((ROOT / "profiles" / f"{profile}.yaml").read_text())
    yield from content[STAGES[stage]["foreach"].removeprefix("${").removesuffix("}")].items()


def deps(stage: str, key: str, item: object) -> list[str]:
    listed = STAGES[stage].get("do", STAGES[stage])["deps"]
    return [path for path in (resolved(text, key, item) for text in listed) if path.startswith(SOURCE)]


def modules(pattern: str) -> set[str]:
    """The modules that a pattern of NAMED stands for, without the leading package."""
    room = pattern.removesuffix(".*")
    found = graph().find_descendants(f"xraydenoise.{room}") if pattern.endswith(".*") else set()
    return {room} | {module.removeprefix("xraydenoise.") for module in found}


def imports(stage: str, key: str, item: object) -> set[str]:
    """The files of code that a run of the stage imports."""
    return closure(
        {f"stages.{stage}"}.union(*(modules(resolved(pattern, key, item)) for pattern in NAMED.get(stage, []))),
        set(LEFT_OUT) - KEPT.get(stage, set()),
    )


def closure(todo: set[str], without: set[str]) -> set[str]:
    """The files of these modules and of those that they import, at the first or any further remove.

    A package's own file counts where it is imported by its name, not where one of its modules is.
    """
    seen: set[str] = set()
    while todo:
        module = todo.pop()
        seen.add(module)
        imported = graph().find_modules_directly_imported_by(f"xraydenoise.{module}")
        todo = todo | {name.removeprefix("xraydenoise").removeprefix(".") for name in imported} - seen - without
    return {file(module) for module in seen}


def file(module: str) -> str:
    path = Path(SOURCE, *module.split("."))
    return str(path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py"))


def covers(path: str, code: str) -> bool:
    return code == path or code.startswith(f"{path}/")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("stage", STAGES)
def test_every_file_that_a_stage_imports_is_among_its_deps(stage, profile):
    missing = set()
    for key, item in items(stage, profile):
        listed = deps(stage, key, item)
        assert all((ROOT / path).exists() for path in listed)
        missing |= {code for code in imports(stage, key, item) if not any(covers(path, code) for path in listed)}
    assert not missing, f"dvc.yaml: add to the deps of {stage} (or, with a reason, to LEFT_OUT here): {sorted(missing)}"


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_depends_on_code_that_it_does_not_import(stage):
    runs = [(key, item) for profile in PROFILES for key, item in items(stage, profile)]
    reached = set().union(*(imports(stage, key, item) for key, item in runs))
    listed = {path for key, item in runs for path in deps(stage, key, item)}
    needless = {path for path in listed if not any(covers(path, code) for code in reached)}
    assert needless == ({file("kinds")} if stage == "register" else set())  # there it is data: it travels with the model


def test_what_is_left_out_of_the_deps_is_there():
    assert all((ROOT / file(module)).exists() for module in LEFT_OUT)


def test_all_code_that_a_registered_model_needs_travels_with_it_and_registers_it_again_when_it_changes():
    travels = [f"{SOURCE}/{part}" for part in package.CODE]
    needed = closure({"registry.pyfunc"}, set()) - {file("registry.pyfunc")}
    assert not [code for code in needed if not any(covers(path, code) for path in travels)]
    assert not [code for code in needed if not any(covers(path, code) for path in deps("register", "", {}))]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_checkpoint_goes_on_only_under_the_code_that_the_stage_depends_on(profile):
    checked = params.load(ROOT / "profiles" / f"{profile}.yaml")
    for key, item in items("train", profile):
        listed = [
            path for text in deps("train", key, item) for path in ([ROOT / text] if text.endswith(".py") else (ROOT / text).rglob("*.py"))
        ]
        assert {path.resolve() for path in train.code(checked.models[key])} == set(listed)


def test_an_edit_of_the_reader_of_images_csv_fetches_a_folder_again_and_no_archive_from_kaggle():
    table = f"{SOURCE}/data/sources/folder/table.py"
    reruns = {item["kind"]: any(covers(path, table) for path in deps("download", key, item)) for key, item in items("download", "full")}
    assert reruns == {"folder": True, "kaggle": False}


NOT_READ = {  # sections that only code reads which the stage does not call
    "classifier": {"models", "mixtures"},  # stage train's own run, as for the next one
    "reproduce": {"models", "mixtures"},
    "protocols": {"models", "mixtures", "train"},
    "evaluate": {"compare"},  # the summary of examination, which compare makes
    "baseline": {"compare"},
    "compare": {"conditions"},  # what examination draws
}


@pytest.mark.parametrize("stage", STAGES)
def test_every_section_of_params_that_a_stage_reads_is_among_its_params(stage):
    code = "\n".join((ROOT / file(module)).read_text() for module in stages_of(stage))
    read = set(re.findall(r"\bparams\.([a-z]+)\b", code)) & set(params.Params.model_fields)
    listed = {resolved(name, "key", {"mixture": "blind"}).split(".")[0] for name in STAGES[stage].get("do", STAGES[stage])["params"]}
    assert read - listed - NOT_READ.get(stage, set()) == set()


def stages_of(stage: str) -> set[str]:
    """The modules of stages that a stage's module imports, at any remove, and itself."""
    seen, todo = set(), {f"stages.{stage}"}
    while todo:
        module = todo.pop()
        seen.add(module)
        imported = graph().find_modules_directly_imported_by(f"xraydenoise.{module}")
        todo |= {name.removeprefix("xraydenoise.") for name in imported if name.startswith("xraydenoise.stages.")} - seen
    return seen
