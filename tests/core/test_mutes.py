from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.casework_rows import NOW, a_mute, add_mute

from core.casework import CaseworkStore
from core.mutes import RELOAD, MutesReader, addresses, in_force, muted_by, read_mutes

ROW = {
    "hash": "a",
    "pattern": "fee_overpaid",
    "patterns": ["fee_overpaid", "dust_fan_out"],
    "fee_rate": 50.0,
    "output_value": 1_000,
    "outputs_count": 40,
    "input_addresses": ["payer", None, "other"],
}


@pytest.fixture
def store(tmp_path: Path) -> CaseworkStore:
    return CaseworkStore(str(tmp_path), "simulated")


@pytest.mark.parametrize(
    ("what", "matches"),
    [
        ({"pattern": "dust_fan_out"}, True),
        ({"pattern": "zero_fee"}, False),
        ({"address": "other"}, True),
        ({"address": "payee"}, False),
        ({"fee_rate_min": 50.0}, True),
        ({"fee_rate_max": 49.9}, False),
        ({"output_value_max": 1_000, "outputs_count_min": 40}, True),
        ({"output_value_max": 1_000, "outputs_count_min": 41}, False),
        ({"address": "payer", "pattern": "fee_overpaid", "fee_rate_max": 60.0}, True),
        ({"address": "payer", "pattern": "zero_fee"}, False),
    ],
)
def test_a_mute_matches_where_all_that_it_says_holds(what: dict[str, Any], matches: bool) -> None:
    assert a_mute(**what).matches(ROW) is matches


@pytest.mark.parametrize("unknown", [{}, {"input_addresses": None}, {"input_addresses": []}])
def test_without_known_payers_no_mute_of_an_address_matches(unknown: dict[str, Any]) -> None:
    row = {name: value for name, value in ROW.items() if name != "input_addresses"} | unknown
    assert not a_mute(address="payer").matches(row)
    assert a_mute(pattern="fee_overpaid").matches(row)


def test_a_row_of_an_earlier_version_has_one_pattern() -> None:
    assert a_mute(pattern="fee_overpaid").matches(ROW | {"patterns": None})


def test_a_mute_ends_at_its_date_by_itself_or_early() -> None:
    mute = a_mute()
    seconds = timedelta(seconds=1)
    assert not mute.in_force(NOW - seconds)
    assert mute.in_force(NOW) and mute.in_force(mute.until - seconds)
    assert not mute.in_force(mute.until)
    early = mute._replace(ended_at=NOW + timedelta(hours=1))
    assert early.in_force(NOW) and not early.in_force(NOW + timedelta(hours=1))
    assert in_force([early, mute], NOW + timedelta(hours=2)) == [mute]


def test_the_oldest_mute_that_matches_is_named() -> None:
    old, new = a_mute(), a_mute(created_at=NOW + timedelta(minutes=1))
    mutes = in_force([new, old], NOW + timedelta(hours=1))
    assert muted_by(ROW, mutes) == old.id
    assert muted_by(ROW | {"patterns": []}, mutes) is None
    assert addresses([a_mute(address="payer"), old]) == {"payer"}


def test_a_mute_that_was_ended_stays_ended(store: CaseworkStore) -> None:
    assert read_mutes(store) == []
    mute = a_mute(address="payer", fee_rate_min=2.5)
    add_mute(store, mute)
    assert read_mutes(store) == [mute]
    ended = mute._replace(ended_at=NOW, author="bob")
    add_mute(store, ended)
    add_mute(store, mute._replace(created_at=NOW + timedelta(days=2)))  # written late
    assert read_mutes(store) == [ended]


def test_a_reader_follows_the_table_and_keeps_what_it_has_when_that_is_unreadable(
    store: CaseworkStore, tmp_path: Path
) -> None:
    now: list[datetime] = [NOW]
    reader = MutesReader(store, lambda: now[0])
    assert reader.in_force() == []
    mute = a_mute()
    add_mute(store, mute)
    assert reader.in_force() == []
    now[0] += RELOAD
    assert reader.in_force() == [mute]
    for file in tmp_path.rglob("*.parquet"):
        file.write_bytes(b"")
    now[0] += RELOAD
    assert reader.in_force() == [mute]
    now[0] = mute.until
    assert reader.in_force() == []
