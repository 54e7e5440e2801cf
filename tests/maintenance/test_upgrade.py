"""The data of release 0.5.0 is brought to this one, after a backup, and only while nothing runs."""

import fcntl
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.kept_data import data_in, fill, rows
from tests.support.release_0_5_0 import ADDED, fill_as_0_5_0

from core.lake import missing_columns, open_table
from core.registry.tracking_database import DatabaseUnusableError, installed_revisions, revision
from core.tables import TABLES
from data_ingestion.journal import Journal
from maintenance.data_commands import upgrade
from maintenance.data_folder import DATABASE, JOURNAL, DataFolder, MaintenanceError
from maintenance.restore import restore_backup

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "ab")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
"""Holds a lock as Java does."""


def lacking(folder: DataFolder, name: str) -> set[str]:
    table = open_table(str(folder.parts["lake"]), name, folder.origin)
    assert table is not None
    return {column.name for column in missing_columns(table, TABLES[name])}


@pytest.mark.slow
def test_the_data_of_0_5_0_becomes_that_of_today_and_its_backup_stays_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = data_in(tmp_path / "data"), tmp_path / "before.tar"
    fill_as_0_5_0(folder)
    hashes = len(rows(folder, "lake", "raw_transactions"))
    upgrade(folder, str(file))

    said = capsys.readouterr().err
    for name, columns in ADDED.items():
        assert not lacking(folder, name)
        assert all(column in said for column in columns)
        assert len(rows(folder, "lake", name)) == hashes
    assert revision(folder.place(DATABASE)) == installed_revisions()[1]
    with closing(Journal(folder.place(JOURNAL), 7)) as journal:
        assert journal.held() == []

    before = data_in(tmp_path / "restored")
    with file.open("rb") as archive:
        restore_backup(before, archive)
    assert {name: lacking(before, name) for name in ADDED} == ADDED
    assert len(rows(before, "lake", "scored_transactions")) == hashes

    upgrade(folder, str(tmp_path / "again.tar"))
    assert "nothing is changed" in capsys.readouterr().err
    assert not (tmp_path / "again.tar").exists()


def test_while_the_stream_or_casework_runs_nothing_is_changed(tmp_path: Path) -> None:
    folder = fill(data_in(tmp_path / "data"))
    stream = [sys.executable, "-c", HOLD, str(folder.parts["lake"] / ".stream.lock")]
    with subprocess.Popen(stream, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stdout.readline() == b"held\n"
        with pytest.raises(MaintenanceError, match="The stream writes to .*: stop all services"):
            upgrade(folder, str(tmp_path / "file"))
        running.kill()
    with (folder.parts["casework"] / ".case_builder.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(MaintenanceError, match="casework uses"):
            upgrade(folder, str(tmp_path / "file"))
    upgrade(folder, str(tmp_path / "file"))


def test_no_data_is_not_called_that_of_this_version(tmp_path: Path) -> None:
    with pytest.raises(MaintenanceError, match="no simulated data in .* COMPOSE_FILE"):
        upgrade(data_in(tmp_path / "data"), str(tmp_path / "file"))


def test_a_database_of_a_later_mlflow_is_refused_before_anything_is_changed(
    tmp_path: Path,
) -> None:
    folder = fill(data_in(tmp_path / "data"))
    with closing(sqlite3.connect(folder.place(DATABASE))) as database, database:
        database.execute("update alembic_version set version_num = '0123456789ab'")
    with pytest.raises(DatabaseUnusableError, match="of a later MLflow"):
        upgrade(folder, str(tmp_path / "file"))
