from pathlib import Path

import pytest
from tests.support.inside_lake import NOW
from tests.support.moved_lake import append_movements, movement

from core.delta_log import LogDamagedError
from core.lake import OriginMismatchError, rows_by_date
from core.open_tables import OpenTable, OpenTables


def append(lake: str, number: int) -> None:
    append_movements(lake, [movement("bc1qhub", f"{number:064x}", NOW, number)])


def test_a_table_is_there_once_it_is_made_and_always_its_newest_version(lake: str) -> None:
    table = OpenTable(lake, "movements", "simulated")
    assert table.newest() is None
    append(lake, 1)
    first = table.newest()
    assert first is not None
    version = first.version()
    append(lake, 2)
    second = table.newest()
    assert second is first and second.version() == version + 1


def test_a_commit_in_the_place_of_an_empty_one_is_read(lake: str) -> None:
    table = OpenTable(lake, "movements", "simulated")
    append(lake, 1)
    first = table.newest()
    assert first is not None
    log = Path(lake) / "movements" / "_delta_log"
    empty = log / f"{first.version() + 1:020}.json"
    empty.touch()
    with pytest.raises(LogDamagedError):
        table.newest()
    empty.unlink()
    append(lake, 2)
    second = table.newest()
    assert second is not None and sum(rows_by_date(second).values()) == 2


def test_another_table_in_its_place_is_read_once_the_old_one_fails(
    lake: str, tmp_path: Path
) -> None:
    table, tables = OpenTable(lake, "movements", "simulated"), OpenTables(lake, "simulated")
    for number in (1, 2):
        append(lake, number)
        assert len(tables.ask("SELECT * FROM movements", "movements")) == number
        assert table.newest() is not None
    Path(lake).rename(tmp_path / "away")
    append(lake, 7)
    assert [row["value"] for row in tables.ask("SELECT * FROM movements", "movements")] == [7]
    table.close()
    opened = table.newest()
    assert opened is not None and opened.version() == 1


def test_a_table_of_the_other_origin_is_refused_each_time(lake: str) -> None:
    append(lake, 1)
    table = OpenTable(lake, "movements", "live")
    for _ in range(2):
        with pytest.raises(OriginMismatchError):
            table.newest()
