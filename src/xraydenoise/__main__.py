"""The command line: dvc.yaml calls its stages, people call denoise, check, export, models, profile, rollback, ui and verdict."""

import argparse
import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import xraydenoise
from xraydenoise import disk, environment
from xraydenoise.layers import lacking
from xraydenoise.leash import tie_to_parent

if TYPE_CHECKING:
    from xraydenoise.registry.store import Store

# Threads that wait for each other must sleep: spinning ones took ten times as long beside another process, and gained nothing alone.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# What a command needs is imported when it runs: params alone knows every room, torch included, and --help should not wait for that.

STAGES = {
    "check": "check params.yaml, the images it names and the weights, and stop",
    "download": "fetch one dataset and list its files",
    "start": "read the weights that models begin from into one folder",
    "ingest": "decode, scale, split by patient, write the pixel store",
    "enhance": "apply the named presets and keep a region of each picture",
    "label": "Real-ESRGAN on the enhanced regions",
    "degrade": "draw the noise of val and test once, for one track",
    "classifier": "train a classifier of the dataset's own labels, for the objectives that ask it",
    "train": "train one model",
    "evaluate": "score one model on val and test",
    "baseline": "fit one baseline on val and score it",
    "reproduce": "train and score one network of a published comparison",
    "protocols": "the published comparisons again: tables and plots beside the published figures",
    "compare": "rank all methods, draw figures, write the report",
    "register": "ask the gate, mirror everything into MLflow, register the chosen model",
    "sync": "mirror what there is into MLflow, also while a training runs",
}
DENOISE = (
    "Takes the noise out of X-ray pictures: DICOM under any name, PNG and TIFF of 8 and 16 bit, BMP, JPEG (written as PNG) and .npy. Each "
    "comes out with the same name, size and depth, DICOM as a derived image in a series of its own. A file that cannot be denoised is one "
    "line, and the others go on; the exit code is 0 if all went well, 2 if some failed, 1 if none was tried. Not for diagnostic use."
)
MODEL = "best|fast|models:/NAME@ALIAS|FOLDER"
NAMED = {"download": "DATASET", "degrade": "TRACK", "train": "MODEL", "evaluate": "MODEL", "baseline": "BASELINE", "reproduce": "ENTRY"}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if all went well. A fault of the input is one line an error, a fault of ours a traceback."""
    if "DVC_STAGE" in os.environ:  # killing dvc alone would leave this process writing into the stage's folders
        tie_to_parent()
    chosen = _parser().parse_args(arguments)
    try:
        environment.govern(project=chosen.command not in ("denoise", "export"))
        if chosen.command == "profile":
            from xraydenoise import profiles

            print(profiles.switch(chosen.name, force=chosen.force))
        elif chosen.command == "denoise":
            return _denoise(chosen)
        elif chosen.command == "export":
            _export(chosen)
        elif chosen.command == "models":
            _models()
        elif chosen.command == "ui":
            _ui(chosen.port)
        elif chosen.command == "verdict":
            return _verdict()
        elif chosen.command == "rollback":
            _rollback(chosen.model, chosen.reason)
        else:
            _stage(chosen)
    except ModuleNotFoundError as error:
        if chosen.command == "denoise" or os.environ.get("XRAYDENOISE_TRACEBACK"):
            raise
        print(f"error: {chosen.command}: {lacking(error, chosen.command)}", file=sys.stderr)
        return 1
    except Exception as error:
        full = disk.explained(error)
        if os.environ.get("XRAYDENOISE_TRACEBACK") or not (full or isinstance(error, ValueError | OSError | RuntimeError)):
            raise
        print("\n".join(f"error: {line}" for line in str(full or error).splitlines()), file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xraydenoise" if Path(sys.argv[0]).stem == "xraydenoise" else "python -m xraydenoise",
        description=xraydenoise.__doc__,
        epilog="The whole pipeline: `make run`, or `dvc repro` without Prefect. Every number is in params.yaml. "
        "XRAYDENOISE_TRACEBACK=1 shows where an error arose.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    denoise = commands.add_parser("denoise", help="files in, the same files without noise out", description=DENOISE, add_help=False)
    denoise.add_argument("-h", "--help", nargs=0, action=_Help, help="show this help message and exit")
    denoise.add_argument("input", nargs="+", type=Path, metavar="INPUT", help="a file, or a folder, whose tree is kept")
    denoise.add_argument("--output", required=True, type=Path, metavar="DIR", help="where the results go, never onto their inputs")
    denoise.add_argument(
        "--model", default="best", metavar=MODEL, help="weights of this package (best unless said), or a trained or registered model"
    )
    denoise.add_argument("--strength", default=1.0, type=float, metavar="0..1", help="how much of the noise is taken away (1 unless said)")
    denoise.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda|mps", help="what computes: CUDA if there is one, else the CPU, unless said"
    )
    denoise.add_argument(
        "--precision",
        default="auto",
        metavar="auto|bf16|fp32",
        help="bf16 takes half the time and costs .03 dB (auto: where the hardware has it)",
    )
    denoise.add_argument(
        "--compare", action="store_true", help="beside each result a PNG: before, after and what was taken away, on one scale (first frame)"
    )
    denoise.add_argument(
        "--page", type=Path, metavar="FILE.html", help="one page to look at before and after of the first 50, which needs no network"
    )
    denoise.add_argument("--compress", action="store_true", help="DICOM results as JPEG-LS without loss; changes nothing of other files")
    denoise.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    export = commands.add_parser("export", help="a trained network as an ONNX file, which runs without torch", add_help=False)
    export.add_argument("-h", "--help", nargs=0, action=_Help, help="show this help message and exit")
    export.add_argument("model", metavar="MODEL", help=f"{MODEL}, as for denoise")
    export.add_argument("--format", required=True, choices=["onnx"])
    export.add_argument("--output", required=True, type=Path, metavar="FILE.onnx")
    export.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    profile = commands.add_parser("profile", help="put another profile into params.yaml")
    profile.add_argument("name", help="a file in profiles/, without its .yaml")
    profile.add_argument("--force", action="store_true", help="overwrite a params.yaml that you have edited")
    commands.add_parser("models", help="the networks of params.yaml: parameters, cost, receptive field, paper")
    ui = commands.add_parser("ui", help="MLflow's pages, on loopback only, at the table of the models of the newest run")
    ui.add_argument("--port", type=int, default=5000)
    commands.add_parser("verdict", help="what the gate decided, and why; 0 if the chosen model of each track is champion, else 2")
    rollback = commands.add_parser("rollback", help="make the champion before this one champion again")
    rollback.add_argument("--model", help="the registered model (default: registry.name; <registry.name>_enhanced for track enhanced)")
    rollback.add_argument("--reason", required=True, help="why, for the audit tags in MLflow")
    for stage, text in STAGES.items():
        command = commands.add_parser(stage, help=text, description=text)
        if stage in NAMED:
            command.add_argument("name", metavar=NAMED[stage], help="an entry of params.yaml")
    return parser


class _Help(argparse.Action):
    """A command's help, at whose end stand the models that this project's MLflow has: looked up when they are asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        with contextlib.suppress(ModuleNotFoundError):  # the plain layer knows nothing of MLflow
            from xraydenoise.registry import presence

            if found := presence.champions():
                parser.epilog = f"Champions of this project: {', '.join(found)}"
        parser.print_help()
        parser.exit()


def _stage(chosen: argparse.Namespace) -> None:
    from xraydenoise import inputs

    with inputs.unchanged(chosen.command, getattr(chosen, "name", "")):
        _run(chosen)


def _run(chosen: argparse.Namespace) -> None:
    from xraydenoise import params

    checked = params.load()
    stage = importlib.import_module(f"xraydenoise.stages.{chosen.command}")
    if chosen.command not in NAMED:
        stage.run(checked)
        if chosen.command == "check":
            told = f"those of Real-ESRGAN {stage.reach(checked)}"
            print(f"params.yaml, the images that it names and the weights that models begin from are good; {told}")
        return
    section = {"download": "datasets", "degrade": "conditions", "baseline": "baselines", "reproduce": "protocols"}.get(
        chosen.command, "models"
    )
    entries = getattr(checked, section)
    if chosen.name not in entries:
        raise ValueError(f"{chosen.command}: {chosen.name!r} is not in `{section}` of params.yaml; found {', '.join(entries)}")
    stage.run(checked, chosen.name)


def _denoise(chosen: argparse.Namespace) -> int:
    from xraydenoise import files
    from xraydenoise.denoise import load_denoiser
    from xraydenoise.files.page import Page
    from xraydenoise.files.plan import plan

    jobs, others = plan(chosen.input, chosen.output, chosen.overwrite, chosen.compare, chosen.page)
    denoise = load_denoiser(chosen.model, chosen.device, chosen.precision, chosen.strength)
    page = Page(len(jobs)) if chosen.page else None
    outcome = files.run(jobs, denoise, chosen.compress, page)
    if page:
        files.write(chosen.page, page.html(files.formats.software(denoise).description).encode())
    pace = f" ({outcome.seconds / outcome.done:.2f} s each)" if outcome.done else ""
    told = [f"{outcome.done} of {len(jobs)} files denoised in {outcome.seconds:.1f} s{pace}, into {chosen.output}"]
    told += [f"{outcome.failed} failed"] if outcome.failed else []
    told += [f"{others + outcome.empty} that hold no picture passed over"] if others + outcome.empty else []
    told += [f"page in {chosen.page}"] if page else []
    print("; ".join(told))
    return 2 if outcome.failed else 0


def _export(chosen: argparse.Namespace) -> None:
    from xraydenoise import export

    export.onnx(chosen.model, chosen.output, chosen.overwrite)
    print(f"{chosen.output}: {chosen.output.stat().st_size / 1e6:.1f} MB; its metadata tell how it is called")


def _models() -> None:
    from xraydenoise import models, params
    from xraydenoise.models import cost

    checked = params.load()
    networks = {name: entry.network for section in (checked.models, checked.protocols) for name, entry in section.items()}
    names: dict[models.Network, list[str]] = {}
    for name, network in networks.items():
        names.setdefault(network, []).append(name)
    print(f"{'kind':20} {'parameters':>10} {'MFLOP/px':>9} {'field, px':>9}  paper; entries of params.yaml")
    for network in sorted(names, key=lambda network: network.kind):
        field = cost.receptive_field(network)
        seen = f"{field}" if field < cost.STRIP[1] else f">= {field}"
        told = f"{cost.parameters(network):>10,} {cost.mflop(network):>9.3f} {seen:>9}"
        print(f"{network.kind:20} {told}  {network.paper}; {', '.join(names[network])}", flush=True)


def _verdict() -> int:
    from xraydenoise.stages import register

    for path in (register.files("noise").table, register.RECORD):  # a clone may have the first from DVC's cache, but no MLflow
        if not path.exists():
            raise FileNotFoundError(f"{path}: not there yet; `make run` writes it")
    from xraydenoise import params
    from xraydenoise.registry import store

    with store.opened(params.load().registry.experiment) as opened:
        stand = [_stands(opened, track) for track in register.found()]
    return 0 if all(stand) else 2


def _stands(opened: "Store", track: str) -> bool:
    """Print the verdict on the candidate of a track, and what became of it since; whether it is champion."""
    from xraydenoise.registry import champion, versions
    from xraydenoise.stages import register

    print(register.files(track).table.read_text(encoding="utf-8"), end="")
    record = register.record(track)
    standing = champion.current(opened, record["name"])
    stands = standing is not None and standing.digest == record["digest"]
    if not versions.search(opened, record["name"], record["digest"]):
        print(
            f"{record['model']} is not registered in {opened.uri} (another MLFLOW_TRACKING_URI?); the stage register fills that store: "
            "`dvc repro -fs register`"
        )
    elif record["alias"] == "champion" and not stands:
        told = f"version {standing.version} is, which has other weights (rolled back since?)" if standing else "no version is"
        print(f"{record['model']} is champion no more: {told}")
    return stands


def _rollback(name: str | None, reason: str) -> None:
    from xraydenoise import contracts, params
    from xraydenoise.registry import rollback, store

    registry = params.load().registry
    name, known = name or registry.name, [registry.model(track) for track in contracts.TRACKS]
    if name not in known:
        raise ValueError(f"rollback: {name!r} is no registered model of this project; found {', '.join(known)}")
    with store.opened(registry.experiment) as opened:
        done = rollback.rollback(opened, name, reason)
    now, before = (f"{done[f'{side}_model']} (version {done[side]})" for side in ("to", "from"))
    print(f"{name}@champion is {now} again, instead of {before}: {reason}")


def _ui(port: int) -> None:
    from xraydenoise import params
    from xraydenoise.registry import address, pages, store

    if server := store.elsewhere():
        raise ValueError(
            f"MLFLOW_TRACKING_URI names {address.public(server)}: its own pages show the runs; unset it to see those of mlruns/"
        )
    if not store.DATABASE.exists():
        raise FileNotFoundError(f"{store.DATABASE}: not there yet; `make run` writes it")
    pages.check(port)
    with store.opened(params.load().registry.experiment) as opened:  # this also mends the paths of a project that was moved
        shown = pages.table(opened, port)
    print(f"MLflow starts; Ctrl-C ends it. The models of the newest run, best first:\n{shown}", flush=True)
    pages.serve(port, shown)


if __name__ == "__main__":
    sys.exit(main())
