"""The package installs in layers: the plain one is enough for `denoise`; `export` needs the extra `onnx`, all others `pipeline`."""

import sys

NO_PACKAGES = sys.stdlib_module_names | {"xraydenoise", "pipeline", ""}


def lacking(error: ModuleNotFoundError, command: str = "") -> str:
    """One line that names the package that could not be imported by a command, and the way out.

    Raises `error` itself where no installation would help: a module of this project, or of a Python of another system.
    """
    package = (error.name or "").partition(".")[0]
    if package in NO_PACKAGES:
        raise error
    needs, extra = ("export needs", "onnx") if command == "export" else ("the commands of the pipeline need", "pipeline")
    return f"the package {package} is not installed; {needs} it: pip install 'xraydenoise[{extra}]'"
