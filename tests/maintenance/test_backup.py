"""A backup made while everything is written holds one state, and all of it."""

import io
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from tests.support.delta_tables import scored, table, write
from tests.support.kept_data import NOON, data_in, everything, fill, rows
from tests.support.raw_lake import append_rows

from core.transaction import NUMERIC_FIELDS
from maintenance import backup, data_commands
from maintenance.backup import make_backup
from maintenance.data_folder import ARTIFACTS, DATABASE, JOURNAL, DataFolder, MaintenanceError
from maintenance.restore import restore_backup
from maintenance.table_snapshot import TableSnapshot, take_snapshot

NO_KAFKA = "localhost:1"


class Meanwhile(io.BytesIO):
    """Takes a backup, and does something else once so many bytes have come."""

    def __init__(self, action: Callable[[], object], after: int = 0) -> None:
        super().__init__()
        self._action: Callable[[], object] | None = action
        self._after = after

    def write(self, content: Any) -> int:
        if self._action is not None and self.tell() >= self._after:
            action, self._action = self._action, None
            action()
        return super().write(content)


def backed_up(folder: DataFolder, out: io.BytesIO | None = None) -> io.BytesIO:
    out = out or io.BytesIO()
    make_backup(folder, NO_KAFKA, out, lambda _: None)
    out.seek(0)
    return out


def restored(archive: io.BytesIO, root: Path) -> DataFolder:
    folder = data_in(root)
    restore_backup(folder, archive)
    return folder


def test_everything_comes_back(tmp_path: Path) -> None:
    folder = fill(data_in(tmp_path / "one"))
    said: list[str] = []
    out = io.BytesIO()
    contents = make_backup(folder, NO_KAFKA, out, said.append)
    assert contents.transactions == 40
    out.seek(0)
    assert everything(restored(out, tmp_path / "two")) == everything(folder)
    assert len(said) == 1 and "Kafka does not answer" in said[0]
    assert not list(folder.parts["producer"].glob(".backup/*")), "the copies are gone"


def a_busy_hour(folder: DataFolder) -> None:
    """What happens to a table in some hours of work: rows, checkpoints, compaction, vacuum."""
    lake = folder.parts["lake"]
    write(lake, "scored_transactions", scored(40, NOON, 3_600, seed=8))
    scores = DeltaTable(str(lake / "scored_transactions"))
    scores.optimize.compact()
    scores.vacuum(1, dry_run=False, enforce_retention_duration=False)
    scores.create_checkpoint()
    for log in (lake / "scored_transactions" / "_delta_log").glob("0*.json"):
        log.unlink()  # as clearing of old versions does, at its most eager
    append_rows(lake, np.ones((5, len(NUMERIC_FIELDS))), offset=40)
    with closing(sqlite3.connect(folder.place(JOURNAL))) as journal, journal:
        journal.execute("delete from held")


def test_writing_compaction_and_vacuum_go_on_and_change_nothing_in_it(tmp_path: Path) -> None:
    folder = fill(data_in(tmp_path / "one"))
    before = everything(folder)
    archive = backed_up(folder, Meanwhile(lambda: a_busy_hour(folder)))
    assert everything(folder) != before
    assert everything(restored(archive, tmp_path / "two")) == before


def test_a_version_that_is_pruned_meanwhile_is_not_in_the_database_without_its_files(
    tmp_path: Path,
) -> None:
    folder = fill(data_in(tmp_path / "one"))
    within_the_first_model = len(backed_up(folder).getvalue()) - 1_500_000
    second = folder.place(ARTIFACTS) / "2" / "model.skops"
    second.parent.mkdir()
    second.touch()

    def prune() -> None:
        assert len(archive.getvalue()) < within_the_first_model + 100_000
        second.unlink()
        with closing(sqlite3.connect(folder.place(DATABASE))) as database, database:
            database.execute("delete from registered_models")

    archive = Meanwhile(prune, within_the_first_model)
    two = restored(backed_up(folder, archive), tmp_path / "two")
    assert not (two.place(ARTIFACTS) / "2").exists()
    with closing(sqlite3.connect(two.place(DATABASE))) as database:
        assert database.execute("select * from registered_models").fetchall() == []


def test_a_lost_file_of_a_table_makes_no_backup(tmp_path: Path) -> None:
    folder = fill(data_in(tmp_path))
    next((folder.parts["lake"] / "scored_transactions").rglob("*.parquet")).unlink()
    with pytest.raises(DeltaError, match="is missing or damaged: try again"):
        backed_up(folder)


def test_a_damaged_database_makes_no_backup(tmp_path: Path) -> None:
    folder = fill(data_in(tmp_path))
    folder.place(JOURNAL).write_bytes(b"garbage" * 1_000)
    with pytest.raises(MaintenanceError, match=r"journal.sqlite cannot be copied .*: restart"):
        backed_up(folder)


def test_nothing_and_a_second_backup_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MaintenanceError, match="no simulated data in .* COMPOSE_FILE"):
        backed_up(data_in(tmp_path / "nothing"))
    folder = fill(data_in(tmp_path / "one"))
    with pytest.raises(MaintenanceError, match="Another backup is made"):
        backed_up(folder, Meanwhile(lambda: backed_up(folder)))


def write_a_batch(lake: Path, number: int) -> None:
    """Write what a micro-batch of 40 transactions and 40 rejects does, in its order."""
    write(lake, "quarantine", rejects(number))
    append_rows(lake, np.ones((40, len(NUMERIC_FIELDS))), offset=number)
    write(lake, "scored_transactions", scored(40, NOON, 60, seed=number))


def rejects(number: int) -> Any:
    times = np.full(40, np.datetime64(NOON.replace(tzinfo=None), "us"))
    columns: dict[str, Any] = {"reason": ["r"] * 40, "topic": ["t"] * 40}
    places = {"partition": np.zeros(40, np.int32), "offset": np.arange(number, number + 40)}
    return table("quarantine", append_time=times, **columns, **places)


def test_what_comes_from_a_table_is_never_newer_than_that_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A score without its transaction would stay for ever; the other way round is repaired."""
    folder, numbers = data_in(tmp_path / "one"), count(40, 40)
    write_a_batch(folder.parts["lake"], 0)

    def after_a_batch(root: str, name: str, origin: str) -> TableSnapshot | None:
        write_a_batch(folder.parts["lake"], next(numbers))
        return take_snapshot(root, name, origin)

    monkeypatch.setattr(backup, "take_snapshot", after_a_batch)
    two = restored(backed_up(folder), tmp_path / "two")
    names = ("scored_transactions", "raw_transactions", "quarantine")
    counts = [len(rows(two, "lake", name)) for name in names]
    assert counts[0] < counts[1] < counts[2], "each is what it was when it was taken"


def test_a_second_backup_into_the_same_file_leaves_the_first_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody runs the command again while a job of the night has not ended."""
    folder, file = fill(data_in(tmp_path / "one")), tmp_path / "b.tar"

    def once_again(_: str) -> None:
        monkeypatch.setattr(data_commands, "say", lambda _: None)
        with pytest.raises(MaintenanceError, match="Another backup"):
            data_commands.backup(folder, str(file))

    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NO_KAFKA)
    monkeypatch.setattr(data_commands, "say", once_again)  # it is said that Kafka does not answer
    data_commands.backup(folder, str(file))
    restored(io.BytesIO(file.read_bytes()), tmp_path / "two")
    assert [path.name for path in tmp_path.glob("b.tar*")] == ["b.tar"]
