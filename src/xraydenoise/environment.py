"""What the surroundings may tell this project. Variables that would lead its Prefect, MLflow, DVC or git elsewhere are dropped or refused.

Both command lines begin here: what they start inherits the environment that is left.
"""

import os
import re
import sys
from pathlib import Path

SOURCE = Path("src/xraydenoise")  # of the project in the current folder
LOCAL_STORE = "sqlite:///mlruns/mlflow.db"  # where MLflow is unless MLFLOW_TRACKING_URI names another place
LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Of what begins with these, only what KEPT lists stays. Prefect reads its variables in any case: prefect_api_url is one.
GOVERNED = re.compile(r"(?i:PREFECT_)|_?MLFLOW_|UVICORN_|(WEB_CONCURRENCY|GUNICORN_CMD_ARGS|FORWARDED_ALLOW_IPS)$")
# How to reach and pay for the store that people chose: its address, credentials, certificates, timeouts, object storage, logging.
KEPT = re.compile(
    "MLFLOW_("
    "TRACKING_(URI|USERNAME|PASSWORD|TOKEN|AUTH|AWS_SIGV4|INSECURE_TLS|SERVER_CERT_PATH|CLIENT_CERT_PATH)|WORKSPACE|"
    r"(HTTP|S3|GCS|BOTO|KERBEROS|MYSQL_SSL|SQLALCHEMYSTORE|MULTIPART|DOWNLOAD)_\w+|ENABLE_(PROXY_)?MULTIPART_\w+|"
    "ALLOW_HTTP_REDIRECTS|ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT|PYARROW_EXTRA_CONF|LOGGING_LEVEL"
    ")"
)
# DVC's for its experiments, its daemon and its tests, and those that git sets for hooks (`git rev-parse --local-env-vars`), which would
# make git look at another repository.
DROPPED = re.compile(
    r"DVC_(ROOT|EXP_\w+|DAEMON\w*|TEST)|"
    "GIT_(ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|CONFIG|CONFIG_PARAMETERS|CONFIG_COUNT|DIR|GRAFT_FILE|IMPLICIT_WORK_TREE|INDEX_FILE|"
    "INTERNAL_SUPER_PREFIX|NAMESPACE|NO_REPLACE_OBJECTS|OBJECT_DIRECTORY|PREFIX|REPLACE_REF_BASE|SHALLOW_FILE|WORK_TREE)"
)


def govern(project: bool) -> None:
    """Drop the variables that lead elsewhere, and keep loopback, where this project's own servers listen, out of proxies.

    `project`: the command works on the project of the current folder. It is refused, by a ValueError of one line with the way out, where
    another folder's code would run there or models would be registered elsewhere.
    """
    _open_closed_streams()
    registry = os.environ.pop("MLFLOW_REGISTRY_URI", None)
    for name in list(os.environ):
        if (GOVERNED.match(name) and not KEPT.fullmatch(name)) or DROPPED.fullmatch(name):
            del os.environ[name]
    _keep_loopback_direct()
    if project:
        _refuse_other_code()
        _refuse_folder()
    if project and registry and _store(registry) != _store(os.environ.get("MLFLOW_TRACKING_URI")):
        raise ValueError(
            "MLFLOW_REGISTRY_URI names another place than the store of the runs, and this project registers models beside their runs; "
            "unset it, or set MLFLOW_TRACKING_URI to the same"  # no address is shown: one may hold a password
        )


def _store(address: str | None) -> str:
    """One way to write the address of a store; where there is none, that of mlruns/."""
    found = (address or LOCAL_STORE).rstrip("/")
    return LOCAL_STORE if found == f"sqlite:///{Path.cwd() / 'mlruns' / 'mlflow.db'}" else found


def _open_closed_streams() -> None:
    """Give a program that was started with closed streams empty ones: else a file gets their number, and messages are written into it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)  # what this program starts has it too
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def _keep_loopback_direct() -> None:
    proxies = [name for name, value in os.environ.items() if value and re.fullmatch("(?i:(HTTP|HTTPS|ALL)_PROXY)", name)]
    direct = [host.strip() for host in (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")]
    if proxies and direct != ["*"]:  # where there is none, the variable would hide the proxies of macOS and Windows from downloads
        hosts = ",".join([*filter(None, direct), *(host for host in LOOPBACK if host not in direct)])
        os.environ |= {"no_proxy": hosts, "NO_PROXY": hosts}


def _refuse_other_code() -> None:
    runs = Path(__file__).parent
    if SOURCE.is_dir() and not SOURCE.samefile(runs):
        raise ValueError(
            f"{Path.cwd()}: the code of {runs} would run here, not that of {SOURCE}; `make run` sets up this folder's own .venv, and "
            "PYTHONPATH is not to name another folder"
        )


def _refuse_folder() -> None:
    if written := re.search("%[0-9A-Fa-f]{2}", str(Path.cwd())):
        raise ValueError(
            f"{Path.cwd()}: MLflow takes {written[0]} in the name of a folder for another character, and would load no model here; "
            "rename the folder"
        )
