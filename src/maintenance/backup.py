"""Makes a backup while every service goes on: one version of everything, which belongs together.

The parts are taken in the opposite order of their writing: what comes from something else is taken
before it. So the copy is what a crash between two commits would have left, and the next start
completes it as it does after a crash (`docs/stream.md`).

1. The producer's journal: what counts as published there is in the lake, or on Kafka, afterwards.
2. The casework tables, which come from the lake; deliveries before alerts, these before cases.
3. The lake's tables, of each the version of one moment; `raw_transactions` near the end.
4. What Kafka has and these versions have not: it joins the journal as still to be sent.
5. The files of these versions, then the models' files, and the models' database last.
"""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from deltalake.exceptions import DeltaError
from kafka.errors import KafkaError

from core.casework import CASEWORK_TABLES
from core.tables import TABLES
from maintenance.archive import FORMAT, ArchiveWriter, Header, installed_version
from maintenance.data_folder import (
    ARTIFACTS,
    DATABASE,
    JOURNAL,
    OUTBOX,
    DataFolder,
    MaintenanceError,
    locked,
    require_data,
)
from maintenance.table_snapshot import TableSnapshot, take_snapshot
from maintenance.unread_records import MOST_RECORDS, hold, unread_records, written_places

LAKE_ORDER = (
    *("address_days", "transaction_stats", "replacements", "confirmations"),
    *("scored_transactions", "market", "raw_transactions", "movements", "watched", "quarantine"),
)
"""The opposite of the order in which a micro-batch and its chores write."""

CASEWORK_ORDER = (
    *("deliveries", "alerts", "case_events", "case_members"),
    *("marks", "mutes", "watch_list"),
)

Say = Callable[[str], object]

_COPIES = ".backup"
"""Folder beside the journal for the copies of databases, removed at the end."""


@dataclass(frozen=True)
class Contents:
    """What a backup has: rows of `raw_transactions`, and bytes of all files."""

    transactions: int
    size: int


def make_backup(folder: DataFolder, kafka_servers: str, out: BinaryIO, say: Say) -> Contents:
    """Write an archive of everything to `out`; `say` gets a sentence about what it lacks.

    Raises `MaintenanceError` where there is nothing, or while another backup is made, `DeltaError`
    for a table that cannot be read, and `OSError` when a disk fails.
    """
    require_data(folder)
    copies = folder.parts["producer"] / _COPIES
    with locked(copies.with_name(".backup.lock"), "Another backup is made at this moment."):
        shutil.rmtree(copies, ignore_errors=True)
        copies.mkdir()
        try:
            return _write(folder, kafka_servers, copies, out, say)
        finally:
            shutil.rmtree(copies, ignore_errors=True)


def _write(
    folder: DataFolder, kafka_servers: str, copies: Path, out: BinaryIO, say: Say
) -> Contents:
    journal = copies / "journal.sqlite"
    has_journal = copy_database(folder.place(JOURNAL), journal)
    casework = _snapshots(folder, "casework", CASEWORK_ORDER)
    lake = _snapshots(folder, "lake", LAKE_ORDER)
    if has_journal:
        _hold_unread_records(journal, kafka_servers, lake, say)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    archive = ArchiveWriter(out, Header(FORMAT, installed_version(), folder.origin, now))
    if has_journal:
        archive.add_file(JOURNAL, journal)
    if (outbox := folder.place(OUTBOX)).exists():
        archive.add_bytes(OUTBOX, outbox.read_bytes())
    for part, snapshots in {"casework": casework, "lake": lake}.items():
        for snapshot in snapshots:
            _add_table(archive, part, folder.parts[part], snapshot)
    _add_models(archive, folder, copies / "mlflow.db")
    archive.close()
    rows = sum(each.rows for each in lake if each.name == "raw_transactions")
    return Contents(rows, archive.size)


def copy_database(path: Path, to: Path) -> bool:
    """Copy an SQLite database that others may be writing; False where there is none.

    Raises `MaintenanceError` for one that is damaged.
    """
    if not path.exists():
        return False
    to.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as copy:
            source.backup(copy)
            copy.execute("pragma journal_mode=delete")
    except sqlite3.DatabaseError as error:
        raise MaintenanceError(
            f"{path} cannot be copied ({error}): restart its service, which says what to do."
        ) from error
    return True


def _snapshots(folder: DataFolder, part: str, order: Sequence[str]) -> list[TableSnapshot]:
    """The tables of a part, in this order; those that do not exist are left out."""
    assert set(order) == set(TABLES if part == "lake" else CASEWORK_TABLES)
    root = str(folder.parts[part])
    taken = (take_snapshot(root, name, folder.origin) for name in order)
    return [snapshot for snapshot in taken if snapshot is not None]


def _hold_unread_records(
    journal: Path, servers: str, lake: Sequence[TableSnapshot], say: Say
) -> None:
    tables = {snapshot.name: snapshot.table for snapshot in lake}
    written = written_places(tables.get("raw_transactions"), tables.get("confirmations"))
    lacking = "What Kafka has and the lake has not yet is not in the backup"
    remedy = "A restore beside the same Kafka reads it from there."
    try:
        records = unread_records(servers, written)
    except KafkaError:
        say(f"{lacking}: Kafka does not answer. {remedy}")
        return
    if records is None:
        say(f"{lacking}: it is more than {MOST_RECORDS:,} records. {remedy}")
        return
    hold(journal, records)


def _add_table(archive: ArchiveWriter, part: str, root: Path, snapshot: TableSnapshot) -> None:
    """Add a table's files; raises `DeltaError` for one that is not as the log says."""
    for path, size in snapshot.files.items():
        file = root / snapshot.name / path
        if not file.exists() or file.stat().st_size != size:
            raise DeltaError(
                f"{file} is missing or damaged: try again, and if it stays so restore an earlier "
                "backup"
            )
        archive.add_file(f"{part}/{snapshot.name}/{path}", file)
    for path, content in snapshot.log.items():
        archive.add_bytes(f"{part}/{snapshot.name}/{path}", content)


def _add_models(archive: ArchiveWriter, folder: DataFolder, copy: Path) -> None:
    """Add MLflow's files and then its database, from before all files that it names were there.

    A version that is pruned meanwhile is gone from the next copy of the database.
    """
    if not folder.place(DATABASE).exists():
        return
    complete = False
    while not complete:
        copy_database(folder.place(DATABASE), copy)
        missed = [path for name, path in _models(folder) if not _add_model(archive, name, path)]
        complete = not missed
    archive.add_file(DATABASE, copy)


def _models(folder: DataFolder) -> list[tuple[str, Path]]:
    """Each of MLflow's files, by the name that it gets."""
    root = folder.place(ARTIFACTS)
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return [(f"{ARTIFACTS}/{path.relative_to(root).as_posix()}", path) for path in files]


def _add_model(archive: ArchiveWriter, name: str, path: Path) -> bool:
    """Add a file unless the archive has it as it is; False where it was removed meanwhile."""
    try:
        if not archive.has(name, path.stat().st_size):
            archive.add_file(name, path)
    except FileNotFoundError:
        return False
    return True
