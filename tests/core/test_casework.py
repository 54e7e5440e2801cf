from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from core import casework
from core.casework import CaseworkStore
from core.lake import OriginMismatchError

NOTES = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("note", pa.string())])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CaseworkStore:
    monkeypatch.setitem(casework.CASEWORK_TABLES, "notes", NOTES)
    return CaseworkStore(str(tmp_path / "casework"), "simulated")


def note(number: int) -> pa.Table:
    return pa.table({"id": [number], "note": [f"note {number}"]})


def numbers(store: CaseworkStore) -> list[int]:
    rows = store.query("SELECT id FROM notes ORDER BY id", "notes")
    return [] if rows is None else list(rows["id"].to_pylist())


def test_a_table_without_rows_is_none(store: CaseworkStore) -> None:
    assert store.table("notes") is None
    assert store.query("SELECT * FROM notes", "notes") is None
    assert store.position("notes", "topic") is None


def test_rows_are_appended_in_the_table_of_their_origin(store: CaseworkStore) -> None:
    store.append("notes", note(1))
    store.append("notes", note(2))
    assert numbers(store) == [1, 2]
    with pytest.raises(OriginMismatchError):
        CaseworkStore(store.root, "live").append("notes", note(3))
    table = store.table("notes")
    assert table is not None and table.version() == 2, "it is created with its origin, at once"


def test_a_position_is_committed_with_its_rows(store: CaseworkStore) -> None:
    store.append("notes", note(1), ("topic-0", 17))
    store.append("notes", note(2))
    assert store.position("notes", "topic-0") == 17
    store.append("notes", note(3), ("topic-0", 18))
    assert store.position("notes", "topic-0") == 18


def test_a_table_that_another_process_creates_at_the_same_time_takes_the_row(
    store: CaseworkStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def created_meanwhile(table: DeltaTable, rows: pa.Table, **options: Any) -> None:
        if table.version() == 0:  # a second creation is committed as a change of the metadata
            DeltaTable(table.table_uri).alter.set_table_name("notes again")
        write_deltalake(table, rows, **options)

    monkeypatch.setattr(casework, "write_deltalake", created_meanwhile)
    store.append("notes", note(1))
    store.append("notes", note(2))
    assert numbers(store) == [1, 2]


def test_threads_and_processes_append_at_one_time_and_no_row_is_lost(store: CaseworkStore) -> None:
    other = CaseworkStore(store.root, "simulated")  # as of another process: it shares no lock
    threads = [
        Thread(target=(store if n % 2 else other).append, args=("notes", note(n)))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(store) == list(range(12))


def test_small_files_are_merged_and_positions_kept(
    store: CaseworkStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(casework, "_SMALL_COMMITS", 5)
    for number in range(11):
        store.append("notes", note(number), ("topic-0", number))
    table = store.table("notes")
    assert table is not None
    assert len(table.file_uris()) < 8
    assert numbers(store) == list(range(11))
    assert store.position("notes", "topic-0") == 10


def test_a_row_is_appended_though_the_files_of_before_cannot_be_merged(
    store: CaseworkStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(casework, "_SMALL_COMMITS", 4)
    store.append("notes", note(1))
    (file,) = Path(store.root, "notes").glob("*.parquet")
    file.unlink()
    store.append("notes", note(2))
    store.append("notes", note(3), ("topic-0", 3))
    assert store.position("notes", "topic-0") == 3
    assert f"event=files_not_merged table=file://{store.root}/notes" in caplog.text
