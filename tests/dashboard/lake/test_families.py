"""Parents and children are found by the API's numbers, and only while both wait."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.support.delta_tables import confirmation, write, write_raw

from core.transaction import tx_index
from dashboard.lake.families import (
    unconfirmed_children,
    unconfirmed_parents,
)
from dashboard.lake.sources import Lake

SEEN = datetime(2026, 11, 28, 0, 10, tzinfo=UTC)
RNG = Random(3)
PARENT, OTHER, CHILD, STRANGER = (RNG.randbytes(32).hex() for _ in range(4))


COUNTED = ("size", "inputs_count", "outputs_count", "input_value", "output_value")


def raw(hash: str, seconds: float, spends: list[str], **changes: Any) -> dict[str, Any]:
    """A row of `raw_transactions` that was seen so many seconds after `SEEN`."""
    moment = SEEN + timedelta(seconds=seconds)
    spent = {"hash": hash, "fee": 0, "weight": 600, "spent_outpoints": spends}
    return dict.fromkeys(COUNTED, 600) | {"event_time": moment} | spent | changes


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), "simulated")


def fill(lake: Lake, *rows: dict[str, Any]) -> None:
    write_raw(Path(lake.uri), *rows)


def names(relatives: list[Any]) -> list[str]:
    return [relative.hash for relative in relatives]


def test_a_lake_without_tables_has_no_families(lake: Lake) -> None:
    assert unconfirmed_parents(lake, CHILD, SEEN) == unconfirmed_children(lake, CHILD, SEEN) == []


def test_parent_and_child_find_each_other(lake: Lake) -> None:
    fill(
        lake,
        raw(PARENT, -1_200, ["77:0"]),  # the day before, at 23:50
        raw(OTHER, -5, ["78:1"], fee=900),
        raw(CHILD, 0, [f"{tx_index(PARENT)}:2", "79:0", f"{tx_index(OTHER)}:0"], fee=3_000),
        raw(STRANGER, 1, [f"{tx_index(CHILD)}1:0", "80:0"]),  # begins with the child's number
    )
    parents = unconfirmed_parents(lake, CHILD, SEEN)
    assert names(parents) == [PARENT, OTHER]
    assert (parents[1].fee, parents[1].weight) == (900, 600)
    (child,) = unconfirmed_children(lake, PARENT, SEEN - timedelta(seconds=1_200))
    assert (child.hash, child.fee) == (CHILD, 3_000)
    assert unconfirmed_children(lake, CHILD, SEEN) == []
    assert unconfirmed_parents(lake, STRANGER, SEEN) == []


def test_what_was_in_a_block_first_is_no_unconfirmed_parent(lake: Lake) -> None:
    fill(
        lake,
        raw(PARENT, -60, ["77:0"]),
        raw(OTHER, -50, ["78:0"], block_height=900_000),
        raw(CHILD, 0, [f"{tx_index(PARENT)}:0", f"{tx_index(OTHER)}:0"]),
    )
    assert names(unconfirmed_parents(lake, CHILD, SEEN)) == [PARENT]
    mined = SEEN - timedelta(seconds=30)
    write(Path(lake.uri), "confirmations", confirmation(PARENT, 900_001, mined))
    assert unconfirmed_parents(lake, CHILD, SEEN) == []
    assert unconfirmed_children(lake, PARENT, mined) == []


def test_a_parent_that_is_mined_with_its_child_was_unconfirmed(lake: Lake) -> None:
    fill(lake, raw(PARENT, -60, ["77:0"]), raw(CHILD, 0, [f"{tx_index(PARENT)}:0"]))
    mined = SEEN + timedelta(seconds=30)
    write(Path(lake.uri), "confirmations", confirmation(PARENT, 900_001, mined))
    assert names(unconfirmed_parents(lake, CHILD, SEEN)) == [PARENT]
    assert names(unconfirmed_children(lake, PARENT, SEEN)) == [CHILD]
