import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from xraydenoise import environment
from xraydenoise.registry import store

ELSEWHERE = (  # one of each kind that was seen to lead a run elsewhere, or that its tool's sources name
    "PREFECT_API_URL",
    "PREFECT_API_KEY",
    "prefect_api_url",
    "PREFECT_PROFILE",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_DATABASE_CONNECTION_URL",
    "PREFECT__FLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_RUN_ID",
    "MLFLOW_ENABLE_ASYNC_LOGGING",
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_REGISTRY_STORE_URI",
    "MLFLOW_STATIC_PREFIX",
    "MLFLOW_HOST",
    "_MLFLOW_SERVER_FILE_STORE",
    "DVC_EXP_NAME",
    "DVC_ROOT",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "UVICORN_PORT",
    "WEB_CONCURRENCY",
)
CHOSEN = (  # what people rightly set
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_S3_ENDPOINT_URL",
    "MLFLOW_HTTP_REQUEST_TIMEOUT",
    "MLFLOW_ENABLE_MULTIPART_UPLOAD",
    "MLFLOW_MYSQL_SSL_CA",
    "AWS_ACCESS_KEY_ID",
    "DVC_NO_ANALYTICS",
    "DVC_SITE_CACHE_DIR",
    "DVC_STAGE",
    "GIT_SSH_COMMAND",
    "GIT_AUTHOR_NAME",
    "KAGGLE_KEY",
    "CUDA_VISIBLE_DEVICES",
    "HTTPS_PROXY",
)
PROXIES = [f"{name}_{end}" for name in ("HTTP", "HTTPS", "ALL", "NO") for end in ("PROXY", "proxy")]


@pytest.fixture
def environ(monkeypatch, tmp_path):
    """The environment without any proxy, and the current folder without a project."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in [*PROXIES, *map(str.lower, PROXIES), "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"]:
        os.environ.pop(name, None)
    monkeypatch.chdir(tmp_path)
    return os.environ


def test_what_leads_elsewhere_is_dropped_and_what_people_rightly_set_stays(environ):
    environ |= dict.fromkeys((*ELSEWHERE, *CHOSEN), "x")
    environment.govern(project=True)
    assert not set(ELSEWHERE) & set(environ)
    assert set(CHOSEN) <= set(environ)


def test_every_variable_of_prefect_and_every_store_and_run_of_mlflow_is_governed(environ):
    store.silence()  # MLflow reads how loud it is when it is imported, and tests that come later hear it
    from mlflow import environment_variables
    from prefect.settings import Settings

    prefect = Settings().to_environment_variables(include_aliases=True)
    mlflow = [name for name in vars(environment_variables) if re.fullmatch(r"_?MLFLOW_\w*_(URI|DIR|ID|NAME|DESTINATION)", name)]
    assert len(prefect) > 250
    assert len(mlflow) > 10
    environ |= dict.fromkeys((*prefect, *mlflow), "x") | {"MLFLOW_REGISTRY_URI": ""}
    environment.govern(project=True)
    assert {name for name in (*prefect, *mlflow) if name in environ} == {"MLFLOW_TRACKING_URI"}


def test_git_looks_at_no_other_repository(environ):
    local = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True).stdout.split()
    environ |= dict.fromkeys(local, "x")
    environment.govern(project=True)
    assert not set(local) & set(environ)


@pytest.mark.parametrize("given", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("proxy", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_loopback_goes_through_no_proxy_and_all_else_as_before(environ, given, proxy):
    import requests

    environ |= {proxy: "http://proxy:3128", given: "intranet, .local"}
    environment.govern(project=True)
    assert environ["no_proxy"] == environ["NO_PROXY"] == "intranet,.local,127.0.0.1,localhost,::1"
    for address in ("http://127.0.0.1:5000", "http://localhost:5000", "http://intranet", "http://x.local"):
        assert requests.utils.get_environ_proxies(address) == {}
    assert requests.utils.get_environ_proxies("https://www.kaggle.com")


@pytest.mark.parametrize("surroundings", [{}, {"HTTP_PROXY": ""}, {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "*"}])
def test_where_no_proxy_is_in_force_the_variable_stays_as_it_is(environ, surroundings):
    environ |= surroundings
    environment.govern(project=True)
    assert (environ.get("NO_PROXY"), environ.get("no_proxy")) == (surroundings.get("NO_PROXY"), None)


@pytest.mark.parametrize("tracking", [None, "http://127.0.0.1:5000"])
def test_a_registry_away_from_the_runs_is_refused_in_one_line_that_tells_no_password(environ, tracking):
    environ |= {"MLFLOW_REGISTRY_URI": "http://someone:secret@registry"} | ({"MLFLOW_TRACKING_URI": tracking} if tracking else {})
    with pytest.raises(ValueError, match=r"^MLFLOW_REGISTRY_URI names another place than the store of the runs, .*; unset it") as refused:
        environment.govern(project=True)
    assert "secret" not in str(refused.value)
    environ["MLFLOW_REGISTRY_URI"] = "http://someone:secret@registry"
    environment.govern(project=False)
    assert "MLFLOW_REGISTRY_URI" not in environ


@pytest.mark.parametrize("where", [{"MLFLOW_TRACKING_URI": "http://server"}, {}])
def test_a_registry_that_is_the_store_of_the_runs_is_none_of_its_own(environ, where):
    environ |= where | {"MLFLOW_REGISTRY_URI": where.get("MLFLOW_TRACKING_URI", environment.LOCAL_STORE)}
    environment.govern(project=True)
    assert "MLFLOW_REGISTRY_URI" not in environ


@pytest.mark.parametrize(
    ("runs", "registry"),
    [
        ("http://host:5000", "http://host:5000/"),
        ("http://host:5000/", "http://host:5000"),
        ("", "sqlite:///{here}/mlruns/mlflow.db"),
        ("sqlite:///{here}/mlruns/mlflow.db", "sqlite:///mlruns/mlflow.db"),
    ],
)
def test_a_store_may_be_written_in_two_ways(environ, runs, registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environ |= {"MLFLOW_TRACKING_URI": runs.format(here=tmp_path), "MLFLOW_REGISTRY_URI": registry.format(here=tmp_path)}
    environment.govern(project=True)


def test_another_folder_s_code_is_refused_for_a_project_and_not_for_denoise(environ, tmp_path):
    Path("src/xraydenoise").mkdir(parents=True)
    with pytest.raises(ValueError, match=f"^{tmp_path}: the code of .*xraydenoise would run here, not that of src/.*`make run` sets up"):
        environment.govern(project=True)
    environment.govern(project=False)


def test_the_project_s_own_code_is_its_own_also_through_a_link(environ):
    Path("src").mkdir()
    Path("src/xraydenoise").symlink_to(Path(environment.__file__).parent)
    environment.govern(project=True)


def test_the_command_line_stops_in_one_line_before_a_stage_and_denoises_all_the_same(tmp_path):
    (tmp_path / "src/xraydenoise").mkdir(parents=True)
    command = [sys.executable, "-m", "xraydenoise"]
    stage = subprocess.run([*command, "check"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert stage.returncode == 1
    assert re.fullmatch(r"error: .*`make run` sets up this folder's own \.venv.*\n", stage.stderr)
    denoise = subprocess.run(
        [*command, "denoise", "gone.png", "--output", "out"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "gone.png" in denoise.stderr
    assert "make run" not in denoise.stderr


@pytest.mark.parametrize(("name", "refused"), [("trial %41", True), ("100 %", False), ("a#b ?c é", False)])
def test_a_folder_whose_name_mlflow_reads_as_another_is_refused(name, refused, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    if refused:
        with pytest.raises(ValueError, match=r"MLflow takes %41 in the name of a folder for another character.*rename the folder"):
            environment.govern(project=True)
    else:
        environment.govern(project=True)


def test_a_program_started_with_closed_streams_writes_no_message_into_its_files(tmp_path):
    script = (
        "import os; from xraydenoise import environment; environment.govern(project=False)\n"
        "file = open('data', 'w'); print('a message'); os.write(2, b'another'); file.write('data'); file.close()\n"
        "import subprocess; subprocess.run(['sh', '-c', 'test -e /dev/fd/0 -a -e /dev/fd/1 -a -e /dev/fd/2'], check=True)"
    )
    closed = 'exec "$0" -c "$1" <&- >&- 2>&-'
    subprocess.run(["sh", "-c", closed, sys.executable, script], cwd=tmp_path, check=True)
    assert (tmp_path / "data").read_text() == "data"
