from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tests.support.delta_tables import empty_newest_commit
from tests.support.inside_lake import a_payment, write_insides

from core.delta_log import inspect, repair
from core.lake import table_uri
from core.tables import MOVEMENTS, RAW_TRANSACTIONS
from data_processing.lake_recovery import restore_movements
from data_processing.lake_tables import LakeTables
from data_processing.movements import SIDES, movement_rows

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
RECEIPTS = pa.schema([RAW_TRANSACTIONS.field(n) for n in ("hash", "event_time", "append_time")])
RECEIPTS = pa.schema([*RECEIPTS, *(RAW_TRANSACTIONS.field(name) for name in SIDES)])

_SIDE = st.none() | st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=4)


def one_by_one(row: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The movements of a row as a loop makes them."""
    return [
        (address, row["hash"], spent, position, value)
        for side, spent in (("input", True), ("output", False))
        for position, (address, value) in enumerate(
            zip(row[f"{side}_addresses"] or (), row[f"{side}_values"] or (), strict=True)
        )
    ]


@given(st.lists(st.tuples(_SIDE, _SIDE), max_size=6), st.integers(1, 3))
def test_every_input_and_output_is_a_row_with_its_position(
    sides: list[tuple[Any, Any]], chunk: int
) -> None:
    rows = [
        {
            "hash": str(number),
            "event_time": NOON,
            "append_time": NOON + timedelta(hours=8 * number),
            **{
                f"{side}_{name}": None if pairs is None else [pair[at] for pair in pairs]
                for side, pairs in zip(("input", "output"), both, strict=True)
                for at, name in enumerate(("addresses", "values"))
            },
        }
        for number, both in enumerate(sides)
    ]
    chunks = [rows[start : start + chunk] for start in range(0, len(rows), chunk)]
    table = pa.concat_tables([pa.Table.from_pylist(c, RECEIPTS) for c in [*chunks, []]])
    moved = movement_rows(table)
    assert moved.schema == MOVEMENTS
    found = [tuple(row.values())[:5] for row in moved.to_pylist()]
    assert sorted(found) == sorted(each for row in rows for each in one_by_one(row))


def test_a_movement_lies_on_the_date_of_its_transaction() -> None:
    late = datetime(2026, 1, 3, 0, 5, tzinfo=UTC)
    row = {"hash": "ab", "event_time": NOON, "append_time": late}
    row |= {"output_addresses": ["bc1q"], "output_values": [5]}
    (moved,) = movement_rows(pa.Table.from_pylist([row], RECEIPTS)).to_pylist()
    assert (moved["event_time"], moved["append_time"]) == (NOON, late)
    assert moved["date"] == date(2026, 1, 3)


def test_lost_movements_are_made_again_from_their_transactions(lake: str) -> None:
    for number in range(3):
        write_insides(lake, a_payment(number, timedelta(), {"7:0": ("bc1qa", 9)}, [("bc1qb", 5)]))
    uri = table_uri(lake, "movements")
    empty_newest_commit(Path(uri))
    repair(inspect(uri))
    tables = LakeTables(None, lake, "simulated")  # type: ignore[arg-type]
    assert sum(tables.rows_by_date("movements").values()) == 4
    restore_movements(tables)
    sql = "SELECT hash, spent, position, address FROM movements"
    assert len(set(map(str, tables.query(sql, "movements").to_pylist()))) == 6
    assert sum(tables.rows_by_date("movements").values()) == 6
    version = tables.open("movements").version()
    restore_movements(tables)
    assert tables.open("movements").version() == version, "nothing is missing any more"
