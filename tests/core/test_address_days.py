"""What is read with days that are summed is what is read without them."""

from datetime import datetime, timedelta

import pytest
from tests.support.inside_lake import (
    NOW,
    a_payment,
    sum_ended_days,
    write_insides,
    write_movements,
    write_verdict,
)

from core.address_days import address_days, summed_day
from core.address_history import (
    FLOW_SECONDS,
    AddressDay,
    Place,
    address_flags,
    address_flow,
    address_history,
    by_period,
)
from core.open_tables import OpenTables
from core.tables import ADDRESS_DAYS

HUB, OTHER = "bc1qhub", "bc1qother"
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)


def the_payment(number: int) -> dict[str, object]:
    """One of every five hours; one of three spends, and one pays the hub twice."""
    paid, spent = [(HUB, 100 + number), (OTHER, 7)], {"7:0": (OTHER, 10_000)}
    if number % 3 == 0:
        paid, spent = [(OTHER, 1)], {f"{number}:0": (HUB, 5_000), f"{number}:1": (HUB, number)}
    if number % 4 == 0:
        paid.append((HUB, 1))
    return a_payment(number, NOW - MIDNIGHT + timedelta(hours=5 * number - 6), spent, paid)


@pytest.fixture
def tables(lake: str) -> OpenTables:
    """Six dates, each with rows that a crash has left twice."""
    rows = [the_payment(number) for number in range(25)]
    write_insides(lake, *rows)
    write_movements(lake, *rows[::6])
    for number, row in enumerate(rows):
        write_verdict(lake, row, flagged=number % 5 == 0)
    return OpenTables(lake, "simulated")


def days_of(tables: OpenTables, address: str, flow: bool = True) -> list[AddressDay]:
    movements, scores = map(tables.rows_by_date, ("movements", "scored_transactions"))
    return address_days(tables.ask, address, movements, scores, flow)


@pytest.fixture
def summed(tables: OpenTables, monkeypatch: pytest.MonkeyPatch) -> OpenTables:
    monkeypatch.setattr("core.address_days.BUSY_MOVEMENTS", 4)
    sum_ended_days(tables.lake)
    return tables


def test_every_page_is_the_same_with_days_that_are_summed(summed: OpenTables) -> None:
    days, place, pages = days_of(summed, HUB), None, 0
    assert len(days) == len(summed.rows_by_date("movements")) - 1 > 3
    while True:
        plain = address_history(summed.ask, HUB, 4, place)
        found = address_history(summed.ask, HUB, 4, place, days)
        assert plain is not None and found is not None
        assert found[:2] == plain[:2]
        if not found.transactions:
            break
        last, pages = found.transactions[-1], pages + 1
        place = Place(last.append_time, last.hash)
    assert pages == 7 and found.sums.transactions == 25


def test_flags_and_flow_are_the_same_too(summed: OpenTables) -> None:
    days = days_of(summed, HUB)
    found = address_history(summed.ask, HUB, 4, days=days)
    assert found is not None and found.flow is not None
    plain = address_flags(summed.ask, HUB, found.sums)
    assert address_flags(summed.ask, HUB, found.sums, days) == plain and plain[0] > 2
    for seconds in (FLOW_SECONDS, 86_400):
        flow = by_period(((f.start, f.received, f.spent) for f in found.flow), seconds)
        assert flow == address_flow(summed.ask, HUB, seconds)
    assert {len(day.flow) for day in days_of(summed, HUB, flow=False)} == {0}


def test_only_the_busiest_are_summed(tables: OpenTables, monkeypatch: pytest.MonkeyPatch) -> None:
    sum_ended_days(tables.lake)
    assert days_of(tables, HUB) == [], "none has a thousand movements a day"
    monkeypatch.setattr("core.address_days.BUSY_MOVEMENTS", 1)
    monkeypatch.setattr("core.address_days.MOST_BUSY", 1)
    day = min(tables.rows_by_date("movements"))
    assert len(summed_day(tables.ask, day, 1, 1)) == 1
    assert summed_day(tables.ask, day, 1, 1).schema == ADDRESS_DAYS


@pytest.mark.parametrize("late", ["a movement", "a score"])
def test_a_day_that_got_a_row_afterwards_is_read_again(summed: OpenTables, late: str) -> None:
    before = days_of(summed, HUB)
    day = before[0].date
    at = datetime.combine(day, datetime.min.time(), NOW.tzinfo) + timedelta(hours=1)
    row = a_payment(99, NOW - at, {}, [(HUB, 10**6)])
    if late == "a movement":
        write_movements(summed.lake, row)
    else:
        write_verdict(summed.lake, row, flagged=True)
    after = days_of(summed, HUB)
    assert {each.date for each in before} - {each.date for each in after} == {day}
    with_days = address_history(summed.ask, HUB, 4, days=after)
    plain = address_history(summed.ask, HUB, 4)
    assert with_days is not None and plain is not None and with_days[:2] == plain[:2]
