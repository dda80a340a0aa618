"""The package installs in layers: the plain one is enough for `denoise`; all other commands need the extra `pipeline` as well."""

import sys

NO_PACKAGES = sys.stdlib_module_names | {"xraydenoise", "pipeline", ""}


def lacking(error: ModuleNotFoundError) -> str:
    """One line that names the package that could not be imported, and the way out.

    Raises `error` itself where no installation would help: a module of this project, or of a Python of another system.
    """
    package = (error.name or "").partition(".")[0]
    if package in NO_PACKAGES:
        raise error
    return f"the package {package} is not installed; the commands of the pipeline need it: pip install 'xraydenoise[pipeline]'"
