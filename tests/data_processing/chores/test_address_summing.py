from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from tests.support.inside_lake import a_payment, write_insides, write_verdict
from tests.support.moved_lake import append_movements, movement

from data_processing.chores.address_summing import AddressDays
from data_processing.lake_tables import LakeTables, create_tables

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TODAY, YESTERDAY = NOON.date(), NOON.date() - timedelta(days=1)


@pytest.fixture
def tables(lake: str, monkeypatch: pytest.MonkeyPatch) -> LakeTables:
    """Three dates with two movements of an address each; two movements make one busy."""
    monkeypatch.setattr("core.address_days.BUSY_MOVEMENTS", 2)
    for back in range(3):
        at = NOON - timedelta(days=back)
        paid = [("bc1qhub", 5), ("bc1qhub", 6), ("bc1qother", 7)]
        row = a_payment(back, timedelta(), {}, paid, event_time=at, append_time=at)
        write_insides(lake, row)
        write_verdict(lake, row, flagged=back == 1)
    create_tables(lake, "simulated", 2)
    return LakeTables(None, lake, "simulated")  # type: ignore[arg-type]


@pytest.fixture
def chore(tables: LakeTables) -> Callable[[], AddressDays]:
    return lambda: AddressDays(tables, now=lambda: NOON)


def summed(tables: LakeTables) -> dict[date, tuple[str, int, int, int]]:
    sql = "SELECT * FROM address_days"
    return {
        row["date"]: (row["address"], row["received"], row["flagged"], row["movements"])
        for row in tables.query(sql, "address_days").to_pylist()
    }


def test_ended_days_are_summed_one_a_run_the_newest_first(
    tables: LakeTables, chore: Callable[[], AddressDays]
) -> None:
    first = chore()
    first.run()
    assert summed(tables) == {}, "whether the dates change is not known yet"
    first.run()
    assert summed(tables) == {YESTERDAY: ("bc1qhub", 11, 1, 3)}
    for _ in range(3):
        first.run()
    assert summed(tables) == {
        YESTERDAY: ("bc1qhub", 11, 1, 3),
        YESTERDAY - timedelta(days=1): ("bc1qhub", 11, 0, 3),
    }
    version = tables.open("address_days").version()
    again = chore()
    for _ in range(3):
        again.run()
    assert tables.open("address_days").version() == version, "a restart sums nothing again"


def test_a_day_with_late_rows_is_summed_again_once_they_end(
    tables: LakeTables, chore: Callable[[], AddressDays]
) -> None:
    keeper = chore()
    for _ in range(3):
        keeper.run()
    late = NOON - timedelta(days=1)
    append_movements(tables.lake, [movement("bc1qhub", "a" * 64, late, 100)])
    keeper.run()
    assert summed(tables)[YESTERDAY][3] == 3, "more may come"
    keeper.run()
    assert summed(tables)[YESTERDAY] == ("bc1qhub", 111, 1, 4)


def test_a_day_that_lost_its_busy_address_has_no_row_any_more(
    tables: LakeTables, chore: Callable[[], AddressDays], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = chore()
    for _ in range(3):
        keeper.run()
    monkeypatch.setattr("core.address_days.BUSY_MOVEMENTS", 9)
    late = NOON - timedelta(days=1)
    append_movements(tables.lake, [movement("bc1qhub", "a" * 64, late, 100)])
    for _ in range(3):
        keeper.run()
    assert YESTERDAY not in summed(tables)


def test_a_day_that_is_too_large_to_be_summed_stops_nothing(
    tables: LakeTables, chore: Callable[[], AddressDays], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = chore()
    with monkeypatch.context() as little:
        little.setattr("core.lake._ENGINE_MEMORY", "1K")
        for _ in range(2):
            keeper.run()
    assert summed(tables) == {}
    keeper.run()
    assert list(summed(tables)) == [YESTERDAY - timedelta(days=1)], "and the next one is summed"


def test_it_is_due_once_a_minute(tables: LakeTables) -> None:
    clock = [0.0]
    keeper = AddressDays(tables, clock=lambda: clock[0], now=lambda: NOON)
    assert keeper.due()
    keeper.run()
    assert not keeper.due()
    clock[0] = 60
    assert keeper.due()
