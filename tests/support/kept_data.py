"""A small data folder with something in each part, and all that is in one, to compare."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tests.support.casework_rows import a_mute, add_marks, add_mute, mark_row
from tests.support.delta_tables import scored, write
from tests.support.raw_lake import append_rows

from core.casework import CASEWORK_TABLES, CaseworkStore
from core.lake import open_table, query
from core.registry.tracking_database import installed_revisions
from core.settings import DataSettings
from core.tables import TABLES
from core.transaction import NUMERIC_FIELDS
from data_ingestion.journal import Journal, Record
from maintenance.data_folder import ARTIFACTS, DATABASE, JOURNAL, OUTBOX, DataFolder, data_folder

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def data_in(root: Path, origin: str = "simulated") -> DataFolder:
    """The data below a folder, which may be empty."""
    settings = DataSettings.model_validate({"data_dir": root, "data_origin": origin})
    return data_folder(settings)


def fill(folder: DataFolder) -> DataFolder:
    """Put some rows, models, marks and memory into a data folder."""
    lake = folder.parts["lake"]
    append_rows(lake, np.ones((40, len(NUMERIC_FIELDS))))
    write(lake, "scored_transactions", scored(40, NOON, 3_600))
    store = CaseworkStore(str(folder.parts["casework"]), folder.origin)
    add_marks(store, mark_row("a" * 64, "useful"))
    add_mute(store, a_mute())
    journal = Journal(folder.place(JOURNAL), 7)
    journal.acknowledge([Record("t", "k", b"1", mark=b"published", height=5)], NOON.timestamp())
    journal.hold([Record("t", "on its way", b"2")])
    journal.close()
    a_registry(folder.place(DATABASE))
    model = folder.place(ARTIFACTS) / "1" / "model.skops"
    model.parent.mkdir(parents=True)
    model.write_bytes(bytes(3_000_000))
    folder.place(OUTBOX).parent.mkdir()
    folder.place(OUTBOX).write_text('{"topic": "t"}')
    return folder


def a_registry(path: Path) -> None:
    """A database that says that it is of the installed MLflow, with one model's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("create table alembic_version (version_num text)")
        database.execute("insert into alembic_version values (?)", (installed_revisions()[1],))
        database.execute("create table registered_models (name text)")
        database.execute("insert into registered_models values ('a model')")


def rows(folder: DataFolder, part: str, name: str) -> list[str]:
    """The rows of a table in some order, as text; none where it does not exist."""
    table = open_table(str(folder.parts[part]), name, folder.origin)
    if table is None:
        return []
    return sorted(map(str, query(f"SELECT * FROM {name}", **{name: table}).to_pylist()))


def everything(folder: DataFolder) -> dict[str, list[str]]:
    """Every row of every table and database, and the content of the other files, by name."""
    tables = [("lake", name) for name in TABLES] + [("casework", name) for name in CASEWORK_TABLES]
    found = {f"{part}/{name}": rows(folder, part, name) for part, name in tables}
    for name in (JOURNAL, DATABASE):
        with closing(sqlite3.connect(folder.place(name))) as database:
            found[name] = list(database.iterdump())
    files = [path for path in folder.place(ARTIFACTS).rglob("*") if path.is_file()]
    return found | {path.name: [path.read_bytes().hex()] for path in [*files, folder.place(OUTBOX)]}


def tree(folder: DataFolder) -> dict[str, bytes]:
    """The content of every file but locks by its path."""
    return {
        f"{part}/{path.relative_to(root)}": path.read_bytes()
        for part, root in folder.parts.items()
        for path in root.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }
