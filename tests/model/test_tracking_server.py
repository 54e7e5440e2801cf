"""The MLflow server: who may call it, a prefix before it, and databases of other versions."""

import json
import os
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from local.ports import free_port
from tests.support.earlier_mlflow import EARLIER, a_database
from tests.support.processes import answers, process, wait_until

from core.registry import tracking_database
from core.registry.tracking_database import installed_revisions, revision
from core.unfinished_restore import RESTORING
from model.tracking_server import Tracking, allowed_hosts, allowed_origins

STARTED = [sys.executable, "-m", "model.tracking_server"]


def a_database_that_says_only(path: Path, schema: str) -> None:
    """A database without a table of MLflow's, and with the name of a schema."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table alembic_version (version_num text)")
        database.execute("insert into alembic_version values (?)", (schema,))


@contextmanager
def serving(data: Path, **settings: str) -> Iterator[str]:
    """The server as both stacks start it, on a data folder; its URL."""
    port, log = free_port(), data / "server.log"
    environment = {"DATA_DIR": str(data), "MLFLOW_PORT": str(port), **settings}
    with process(STARTED, log, environment) as running:
        url = f"http://localhost:{port}"
        wait_until(lambda: answers(f"{url}/health"), running, log)
        yield url


def ask(url: str, body: Any = None, **headers: str) -> Any:
    """The JSON answer to a GET, or to a POST of a body."""
    data = None if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, headers | {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def refused(folder: Path) -> str:
    """Start on a database that cannot be used; what it prints."""
    done = subprocess.run(
        STARTED,
        env=os.environ | {"DATA_DIR": str(folder), "MLFLOW_PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_our_own_hosts_stay_allowed_whatever_is_added() -> None:
    ours = allowed_hosts("")
    assert {"localhost:*", "127.0.0.1:*", "mlflow:*"} <= set(ours)
    assert allowed_hosts("my.host") == [*ours, "my.host", "my.host:*"]
    assert allowed_hosts("localhost:*,127.0.0.1:*") == ours, "the default of earlier versions"
    assert allowed_origins("") == []
    assert allowed_origins("*") == []


def test_a_command_keeps_no_metrics_of_the_processes_before(tmp_path: Path) -> None:
    tracking = Tracking(tmp_path, 5000)
    tracking.command()
    (tmp_path / "metrics" / "counter_1.db").write_bytes(b"")
    tracking.command()
    assert not list((tmp_path / "metrics").iterdir())


@pytest.mark.stack
def test_a_host_that_is_added_may_change_something_and_locks_out_nobody(tmp_path: Path) -> None:
    with serving(tmp_path, MLFLOW_ALLOWED_HOSTS="my.host") as url:
        search = "2.0/mlflow/experiments/search"
        assert ask(f"{url}/api/{search}", {"max_results": 1})["experiments"]
        page = {"Host": "my.host", "Origin": "https://my.host"}
        assert ask(f"{url}/ajax-api/{search}", {"max_results": 1}, **page)["experiments"]
        for foreign in ({"Host": "evil.example"}, {"Host": "my.host", "Origin": "http://evil"}):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                ask(f"{url}/ajax-api/{search}", {"max_results": 1}, **foreign)


@pytest.mark.stack
def test_the_page_works_behind_a_proxy_that_removes_a_prefix(mlflow_server: str) -> None:
    """Its addresses are relative: the browser adds the prefix again."""
    with urllib.request.urlopen(f"{mlflow_server}/", timeout=30) as answer:
        page = answer.read().decode()
    addresses = [part.split('"')[0] for part in page.split('src="')[1:] + page.split('href="')[1:]]
    assert addresses
    assert not [address for address in addresses if address.startswith(("/", "http"))]


@pytest.mark.stack
def test_a_database_of_an_earlier_mlflow_is_upgraded_and_the_earlier_one_stays(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mlflow" / "mlflow.db"
    a_database(path, EARLIER)
    with serving(tmp_path) as url:
        model = ask(f"{url}/api/2.0/mlflow/registered-models/get?name=BeforeTheUpgrade")
    assert model["registered_model"]["name"] == "BeforeTheUpgrade"
    assert revision(path) == installed_revisions()[1]
    assert revision(path.with_name(f"mlflow.db.{EARLIER}")) == EARLIER


@pytest.mark.stack
def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mlflow" / "mlflow.db"
    a_database_that_says_only(path, EARLIER)
    before = path.read_bytes()
    assert "the database is unchanged" in refused(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.stack
def test_a_database_that_cannot_be_used_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "mlflow" / "mlflow.db"
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1_000)
    assert "cannot be read (file is not a database): put back a backup" in refused(tmp_path)
    path.unlink()
    a_database_that_says_only(path, "0123456789ab")
    assert "has the schema 0123456789ab of a later MLflow" in refused(tmp_path)


@pytest.mark.stack
def test_nothing_is_begun_in_a_folder_whose_restore_has_not_ended(tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / RESTORING).touch()
    assert refused(tmp_path).endswith("if that was interrupted, restore again\n")
    assert [path.name for path in (tmp_path / "mlflow").iterdir()] == [RESTORING]


def test_a_database_that_is_absent_or_empty_is_left_to_mlflow(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    tracking_database.upgrade(path)
    assert not path.exists()
    path.touch()
    tracking_database.upgrade(path)
    assert path.read_bytes() == b""


def test_the_newest_revision_is_the_one_that_mlflow_wants() -> None:
    from mlflow.store.db.utils import _get_latest_schema_revision

    assert installed_revisions()[1] == _get_latest_schema_revision()  # type: ignore[no-untyped-call]
