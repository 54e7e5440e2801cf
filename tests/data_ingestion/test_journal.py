"""The journal: what survives a kill, what is forgotten, and how large it grows."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.blockchain_samples import NOW, block_hash, tx_hash

from core.topics import BLOCKS, TRANSACTIONS
from data_ingestion.journal import DAY, Journal, Record, open_journal


def mark(number: int) -> bytes:
    return number.to_bytes(16, "big")


def transaction(number: int) -> Record:
    return Record(TRANSACTIONS, tx_hash(number), b"{}", mark(number))


def mined(height: int, branch: int = 0) -> Record:
    return Record(BLOCKS, block_hash(height, branch), b"{}", height=height)


def reopened(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "new" / "journal.sqlite", days=14)


def test_what_is_acknowledged_is_remembered(journal: Journal) -> None:
    journal.acknowledge([transaction(1), transaction(2)], NOW)
    assert journal.unpublished([mark(1), mark(2), mark(3)]) == {mark(3)}


def test_what_is_only_held_is_not_remembered(journal: Journal) -> None:
    journal.hold([transaction(1)])
    assert journal.unpublished([mark(1)]) == {mark(1)}


def test_held_records_survive_in_their_order_until_acknowledged(
    journal: Journal, tmp_path: Path
) -> None:
    records = [transaction(2), transaction(1), mined(7)]
    journal.hold(records)
    other = reopened(tmp_path)
    assert other.held() == records
    other.acknowledge(records, NOW)
    assert other.held() == []
    assert other.last_block() == (7, block_hash(7))
    other.close()


def test_an_acknowledgement_that_fails_changes_nothing(journal: Journal) -> None:
    journal.hold([transaction(1), mined(7)])
    broken = Record(BLOCKS, None, b"", height=8)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        journal.acknowledge([transaction(1), mined(7), broken], NOW)
    assert len(journal.held()) == 2
    assert journal.last_block() is None
    assert journal.unpublished([mark(1)]) == {mark(1)}


def acknowledge_daily(journal: Journal, days: range) -> None:
    """One mark a day, numbered like its day."""
    for day in days:
        journal.acknowledge([transaction(day)], NOW + day * DAY)


def known_days(journal: Journal, days: range) -> set[int]:
    unknown = journal.unpublished([mark(day) for day in days])
    return {day for day in days if mark(day) not in unknown}


def tables_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        names = "select name from sqlite_schema where name glob 'marks_*'"
        return [name for (name,) in database.execute(names)]


def test_marks_are_kept_for_all_of_their_days_and_then_dropped(journal: Journal) -> None:
    acknowledge_daily(journal, range(60))
    known = known_days(journal, range(60))
    assert known >= set(range(59 - 14, 60))
    assert known.isdisjoint(range(59 - 20))


@pytest.mark.parametrize("days", [7, 28])
def test_another_number_of_days_forgets_no_mark_and_leaves_no_table(
    tmp_path: Path, days: float
) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path, days=14)) as before:
        acknowledge_daily(before, range(1, 20))
        kept = known_days(before, range(1, 20))
    with closing(Journal(path, days=days)) as after:
        acknowledge_daily(after, range(20, 23))
        assert known_days(after, range(1, 20)) >= {day for day in kept if day >= 22 - min(days, 14)}
        acknowledge_daily(after, range(23, 120))
        assert known_days(after, range(1, 80)) == set()
    assert len(tables_of(path)) <= 9


def test_a_clock_that_is_far_ahead_once_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path, days=14)) as journal:
        acknowledge_daily(journal, range(30))
        journal.acknowledge([transaction(100)], NOW + 400 * DAY)
        acknowledge_daily(journal, range(30, 33))
        assert known_days(journal, range(32 - 14, 33)) == set(range(32 - 14, 33))
        assert known_days(journal, range(100, 101)) == {100}
        acknowledge_daily(journal, range(33, 90))
    assert len(tables_of(path)) <= 10


def test_the_marks_of_an_earlier_version_are_kept_and_then_dropped(tmp_path: Path) -> None:
    """Its tables were numbered by quarters of the setting: 14 days here, 3 in the last one."""
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path, days=14)), closing(sqlite3.connect(path)) as database:
        for number, of_table in enumerate([5_918, 5_919, 5_920, 27_000]):
            database.execute(f"create table marks_{of_table} (mark blob primary key)")
            database.execute(f"insert into marks_{of_table} values (?)", (mark(number),))
        database.commit()
    with closing(Journal(path, days=14)) as journal:
        assert known_days(journal, range(4)) == set(range(4))
        acknowledge_daily(journal, range(10, 22))
        assert known_days(journal, range(4)) == set(range(4))
        acknowledge_daily(journal, range(22, 50))
        assert known_days(journal, range(4)) == set()


def test_a_new_branch_takes_the_place_of_the_old_one(journal: Journal) -> None:
    journal.acknowledge([mined(7), mined(8), mined(9)], NOW)
    journal.acknowledge([mined(8, branch=1)], NOW)
    assert journal.last_block() == (8, block_hash(8, 1))
    assert journal.block_hash_at(7) == block_hash(7)
    assert journal.block_hash_at(9) is None


def test_an_empty_journal_has_no_block_and_no_request_to_wait_for(journal: Journal) -> None:
    assert journal.last_block() is None
    assert journal.next_request == 0


def test_the_time_of_the_next_request_survives(journal: Journal, tmp_path: Path) -> None:
    journal.next_request = NOW + 0.25
    other = reopened(tmp_path)
    assert other.next_request == NOW + 0.25
    other.close()


def write(path: Path, heights: range) -> None:
    """A journal as a killed producer leaves it: its newest changes are in the -wal file."""
    left = Journal(path, days=14)
    for height in heights:
        left.acknowledge(
            [mined(height), *map(transaction, range(height * 50, height * 50 + 50))], NOW
        )
    left.hold([transaction(1), mined(heights.stop)])
    for suffix in ("", "-wal"):
        copy = Path(f"{path}{suffix}.killed")
        copy.write_bytes(Path(f"{path}{suffix}").read_bytes())
    left.close()
    for suffix in ("", "-wal"):
        Path(f"{path}{suffix}.killed").replace(f"{path}{suffix}")


def settle(path: Path) -> None:
    """Move all changes from the -wal file into the journal."""
    Journal(path, days=14).close()


def overwrite(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


def _garbage(path: Path) -> None:
    settle(path)
    path.write_bytes(b"no database" * 10_000)


def _a_page_of_text(path: Path) -> None:
    settle(path)
    overwrite(path, 0, b"<html>" * 700)


def _zeroed_pages(path: Path) -> None:
    settle(path)
    overwrite(path, path.stat().st_size // 2 // 4096 * 4096, bytes(3 * 4096))


def _cut_in_half(path: Path) -> None:
    settle(path)
    os.truncate(path, path.stat().st_size // 2)


def _another_database(path: Path) -> None:
    for suffix in ("", "-wal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as other:
        other.executescript("create table held (name text); create table marks_7 (a int);")


def _another_databases_wal(path: Path) -> None:
    settle(path)
    other = path.with_name("other.sqlite")
    write(other, range(400, 700))
    Path(f"{other}-wal").replace(f"{path}-wal")


DAMAGE = [
    *(_garbage, _a_page_of_text, _zeroed_pages, _cut_in_half),
    *(_another_database, _another_databases_wal),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_journal_is_set_aside_with_a_sentence_and_a_new_one_works(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.sqlite"
    write(path, range(100))
    damage(path)
    opened = open_journal(path, 14, NOW)
    (sentence,) = (one for one in caplog.messages if "event=journal_damaged" in one)
    assert "a new journal is begun" in sentence
    assert (tmp_path / "journal.sqlite.damaged-20231114T221320Z").exists()
    opened.hold([mined(999)])
    opened.acknowledge([transaction(99_999), mined(999)], NOW)
    assert opened.unpublished([mark(99_999)]) == set()
    assert opened.last_block() == (999, block_hash(999))
    opened.close()
    open_journal(path, 14, NOW).close()
    assert sum("event=journal_damaged" in one for one in caplog.messages) == 1


def test_a_restored_journal_beside_a_newer_wal_is_used_or_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    write(path, range(20))
    settle(path)
    backup = path.read_bytes()
    write(path, range(20, 120))
    path.write_bytes(backup)
    opened = open_journal(path, 14, NOW)
    opened.acknowledge([mined(999)], NOW)
    assert opened.last_block() == (999, block_hash(999))
    opened.close()


def test_of_a_damaged_journal_the_place_in_the_chain_and_held_records_are_kept(
    tmp_path: Path,
) -> None:
    """Its marks are most of it: the pages of the small tables are likely to be whole."""
    path = tmp_path / "journal.sqlite"
    write(path, range(100))
    _zeroed_pages(path)
    opened = open_journal(path, 14, NOW)
    assert opened.last_block() == (99, block_hash(99))
    assert opened.held() == [transaction(1), mined(100)]
    assert opened.unpublished([mark(7)]) == {mark(7)}
    opened.close()


def test_a_folder_that_cannot_be_used_is_an_error_and_moves_nothing(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").mkdir()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        open_journal(tmp_path / "journal.sqlite", 14, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["journal.sqlite"]


def test_a_mark_takes_few_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    large = Journal(path, days=14)
    for start in range(0, 100_000, 5_000):
        large.acknowledge(
            [Record(TRANSACTIONS, "", b"", os.urandom(16)) for _ in range(start, start + 5_000)],
            NOW,
        )
    large.close()
    assert path.stat().st_size < 100_000 * 40
