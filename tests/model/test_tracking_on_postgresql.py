"""The MLflow server on PostgreSQL, with the files of models on an object store."""

import itertools
import json
import os
import pwd
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from local.ports import accepts, free_port
from sqlalchemy import create_engine, text
from tests.support.earlier_mlflow import EARLIER, a_database_at
from tests.support.processes import Part, answers, missing, process, wait_until
from tests.support.store_server import BUCKET, StoreServer, store_server
from tests.support.stream_processes import wait_for

from core.registry.tracking_database import DatabaseUnusableError, installed_revisions
from core.settings import MlflowSettings, StoreSettings
from model.tracking_postgresql import revision, upgrade
from model.tracking_server import Tracking, secrets

PASSWORD = "a password: with 'signs'"
KILLS = 5


@dataclass(frozen=True)
class Database:
    url: str
    password_file: Path
    part: Part
    port: int

    def restart_after_a_kill(self) -> None:
        """Kill it, and start it until it runs, as Docker does."""
        self.part.kill()

        def runs() -> bool:
            self.part.start()
            return accepts(self.port)

        wait_for(runs, "PostgreSQL")


def programs() -> Path:
    """The folder of PostgreSQL's programs, which Debian keeps off the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = debian[-1] if debian else shutil.which("initdb")
    if found is None:
        missing("PostgreSQL is not installed")
    return Path(str(found)).parent


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database with one user, who needs a password."""
    folder, port = Path(f"/tmp/mlflow-database-{os.getpid()}"), free_port()
    user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
    password_file = tmp_path / "password"
    password_file.write_text(f"{PASSWORD}\n")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(password_file, folder / "password")
    if user is not None:
        for path in (folder, folder / "password"):
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)
    made = [str(programs() / "initdb"), "-D", str(folder / "data"), "-U", "mlflow"]
    subprocess.run(
        [*made, "-A", "scram-sha-256", f"--pwfile={folder / 'password'}"],
        check=True,
        user=user,
        capture_output=True,
    )
    command = [str(programs() / "postgres"), "-D", str(folder / "data"), "-p", str(port)]
    command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    as_user = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
    log = tmp_path / "database.log"
    part = Part([*as_user, *command], log, {})
    wait_until(lambda: accepts(port), part.start(), log)
    yield Database(f"postgresql://mlflow@127.0.0.1:{port}/postgres", password_file, part, port)
    part.end()
    shutil.rmtree(folder)


def says_only(database: Database, schema: str) -> None:
    """Leave nothing in the database but the name of a schema."""
    engine = create_engine(database.url, connect_args={"password": PASSWORD})
    with engine.begin() as connection:
        connection.execute(text("drop table if exists alembic_version"))
        connection.execute(text("create table alembic_version (version_num text)"))
        connection.execute(text("insert into alembic_version values (:schema)"), {"schema": schema})
    engine.dispose()


@contextmanager
def server(database: Database, store: StoreServer, folder: Path) -> Iterator[str]:
    """The MLflow server as its door starts it; its address."""
    port, log = free_port(), folder / "mlflow.log"
    settings = {
        "DATA_DIR": str(folder / "data"),
        "MLFLOW_PORT": str(port),
        "MLFLOW_DATABASE_URL": database.url,
        "MLFLOW_DATABASE_PASSWORD_FILE": str(database.password_file),
        "MLFLOW_ARTIFACTS_URI": store.uri("models"),
    }
    command = [sys.executable, "-m", "model.tracking_server"]
    with process(command, log, settings | store.settings) as running:
        wait_until(lambda: answers(f"http://localhost:{port}/health"), running, log)
        yield f"http://localhost:{port}"


def ask(url: str, body: bytes | None = None, method: str | None = None) -> bytes:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def call(server: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    return json.loads(ask(f"{server}/api/2.0/mlflow/{path}", data))


@pytest.mark.stack
def test_runs_are_in_postgresql_and_files_in_the_store_after_a_restart(
    database: Database, tmp_path: Path
) -> None:
    with store_server(tmp_path) as store:
        with server(database, store, tmp_path) as address:
            call(address, "registered-models/create", {"name": "Kept"})
            ask(f"{address}/api/2.0/mlflow-artifacts/artifacts/a/model.bin", b"bytes", "PUT")
        shutil.rmtree(tmp_path / "data")
        with server(database, store, tmp_path) as address:
            found = call(address, "registered-models/get?name=Kept")
            assert found["registered_model"]["name"] == "Kept"
            file = ask(f"{address}/api/2.0/mlflow-artifacts/artifacts/a/model.bin")
            assert file == b"bytes"
        held = store.client.get_object(Bucket=BUCKET, Key="models/a/model.bin")["Body"].read()
        assert held == b"bytes"


class ModelWriter(threading.Thread):
    """Registers one model after another until stopped; `acknowledged` are their names."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self._done = threading.Event()
        self.acknowledged: list[str] = []

    def run(self) -> None:
        for number in itertools.count():
            if self._done.wait(0.02):
                return
            with suppress(OSError):  # of a request that the server answers with an error, too
                call(self._address, "registered-models/create", {"name": f"Model-{number}"})
                self.acknowledged.append(f"Model-{number}")

    def stop(self) -> None:
        self._done.set()
        self.join()


@pytest.mark.stack
def test_what_was_acknowledged_is_kept_when_the_database_is_killed(
    database: Database, tmp_path: Path
) -> None:
    with store_server(tmp_path) as store, server(database, store, tmp_path) as address:
        writer = ModelWriter(address)
        writer.start()
        try:
            for _ in range(KILLS):
                more = len(writer.acknowledged) + 3
                wait_for(lambda least=more: len(writer.acknowledged) >= least, "models")  # type: ignore[misc]
                database.restart_after_a_kill()
            more = len(writer.acknowledged) + 3
            wait_for(lambda: len(writer.acknowledged) >= more, "models after the last kill")
        finally:
            writer.stop()
        found = call(address, "registered-models/search?max_results=1000")["registered_models"]
    assert set(writer.acknowledged) <= {model["name"] for model in found}


@pytest.mark.stack
def test_a_database_of_an_earlier_mlflow_is_upgraded_at_the_start(
    database: Database, tmp_path: Path
) -> None:
    a_database_at(database.url, EARLIER, PGPASSWORD=PASSWORD)
    with store_server(tmp_path) as store, server(database, store, tmp_path) as address:
        found = call(address, "registered-models/get?name=BeforeTheUpgrade")
    assert found["registered_model"]["name"] == "BeforeTheUpgrade"
    assert revision(database.url, PASSWORD) == installed_revisions()[1]
    upgrade(database.url, {"PGPASSWORD": PASSWORD})  # finds nothing to do


@pytest.mark.stack
def test_an_upgrade_that_fails_changes_nothing_and_a_later_mlflows_database_is_refused(
    database: Database,
) -> None:
    given = {"PGPASSWORD": PASSWORD}
    upgrade(database.url, given)
    assert revision(database.url, PASSWORD) is None, "an empty one is left to MLflow"
    says_only(database, EARLIER)
    with pytest.raises(DatabaseUnusableError, match="the database is unchanged"):
        upgrade(database.url, given)
    assert revision(database.url, PASSWORD) == EARLIER
    says_only(database, "0123456789ab")
    with pytest.raises(DatabaseUnusableError, match="has the schema 0123456789ab of a later"):
        upgrade(database.url, given)


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    url = f"postgresql://mlflow:a-secret@127.0.0.1:{free_port()}/mlflow"
    with pytest.raises(DatabaseUnusableError, match="cannot be read") as refused:
        upgrade(url, {})
    assert "a-secret" not in str(refused.value)
    assert "correct MLFLOW_DATABASE_URL" in str(refused.value)


def test_no_secret_is_on_the_command_line(tmp_path: Path) -> None:
    password, keys = tmp_path / "password", tmp_path / "keys"
    password.write_text("a-password\n")
    keys.write_text("[default]\naws_access_key_id = key\naws_secret_access_key = a-secret\n")
    mlflow = MlflowSettings(_env_file=None, mlflow_database_password_file=password)
    store = StoreSettings(_env_file=None, s3_credentials_file=keys)
    given = secrets(mlflow, store)
    assert given["PGPASSWORD"] == "a-password"
    assert given["AWS_SHARED_CREDENTIALS_FILE"] == str(keys)
    tracking = Tracking(tmp_path, 1, database_url="postgresql://user@host/name")
    assert "a-password" not in " ".join(tracking.command())


def test_without_files_nothing_is_given_that_would_hide_the_role_of_the_machine() -> None:
    given = secrets(MlflowSettings(_env_file=None), StoreSettings(_env_file=None))
    assert set(given) == {"AWS_DEFAULT_REGION"}
