"""A small lake of transactions that spend from each other, with what is inside them.

payer ──► parent ──► child ──► grandchild
stranger ──┘           └──► "bc1qhub"
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.support.delta_tables import write, write_raw

from core.address_days import summed_day
from core.open_tables import OpenTables
from core.tables import RAW_TRANSACTIONS, SCORED_TRANSACTIONS
from core.transaction import tx_index
from data_processing.movements import movement_rows

NOW = datetime.now(UTC).replace(microsecond=0)


def a_hash(number: int) -> str:
    """A hash whose number of the API differs from that of every other number."""
    return f"{number:04x}" * 16


def outpoint(hash: str, position: int) -> str:
    return f"{tx_index(hash)}:{position}"


def a_payment(
    number: int,
    age: timedelta,
    inputs: Mapping[str, tuple[str, int]],
    outputs: list[tuple[str, int]],
    **changes: Any,
) -> dict[str, Any]:
    """A row of `raw_transactions`; `inputs` has address and value by their outpoints."""
    spent = sum(value for _, value in inputs.values())
    paid = sum(value for _, value in outputs)
    row = {
        "hash": a_hash(number),
        "size": 250,
        "weight": 1_000,
        "fee": spent - paid,
        "inputs_count": len(inputs),
        "outputs_count": len(outputs),
        "input_value": spent,
        "output_value": paid,
        "spent_outpoints": list(inputs),
        "input_addresses": [address for address, _ in inputs.values()],
        "input_values": [value for _, value in inputs.values()],
        "outpoints_cut": False,
        "output_addresses": [address for address, _ in outputs],
        "output_values": [value for _, value in outputs],
        "outputs_cut": False,
        "event_time": NOW - age,
        "append_time": NOW - age + timedelta(seconds=2),
        "partition": 0,
        "offset": number,
        "first_seen": 0,
        "source": "mempool",
    }
    return row | changes


PARENT = a_payment(
    1,
    timedelta(hours=30),
    {"77:0": ("bc1qpayer", 60_000), "78:4": ("bc1qstranger", 40_000)},
    [("bc1qmiddle", 70_000), ("bc1qpayer", 29_000), ("6a0101", 0)],
)
CHILD = a_payment(
    2,
    timedelta(hours=3),
    {outpoint(a_hash(1), 0): ("bc1qmiddle", 70_000)},
    [("bc1qhub", 50_000), ("bc1qlast", 10_000), ("bc1qlast", 9_000)],
)
GRANDCHILD = a_payment(
    3,
    timedelta(minutes=5),
    {
        outpoint(a_hash(2), 1): ("bc1qlast", 10_000),
        outpoint(a_hash(2), 2): ("bc1qlast", 9_000),
    },
    [("bc1qhub", 18_000)],
)
UNRELATED = a_payment(
    4,
    timedelta(minutes=4),
    {"99:0": ("bc1qlast", 10_000)},
    [("bc1qhub", 9_500)],
)
"""It spends from the same address and the same value, but another output."""

EARLIER = a_payment(5, timedelta(hours=2), {}, []) | dict.fromkeys(
    (
        *("input_addresses", "input_values", "output_addresses", "output_values"),
        *("outpoints_cut", "outputs_cut", "spent_outpoints"),
    )
)
"""A row of an earlier version: only the facts were kept."""

FAMILY = (PARENT, CHILD, GRANDCHILD, UNRELATED, EARLIER)


def write_insides(lake: str | Path, *rows: Mapping[str, Any]) -> None:
    """Write rows to `raw_transactions`, and their movements."""
    dated = [{**row, "date": row["append_time"].date()} for row in rows]
    write_movements(lake, *dated)
    write_raw(Path(lake), *dated)


def write_movements(lake: str | Path, *rows: Mapping[str, Any]) -> None:
    """Write the movements alone, as the stream does before the transactions."""
    table = pa.Table.from_pylist([{**row, "date": None} for row in rows], _nullable())
    write(Path(lake), "movements", movement_rows(table))


def write_verdict(lake: str | Path, row: Mapping[str, Any], flagged: bool) -> None:
    """Write the verdict on a row to `scored_transactions`."""
    verdict = {
        "fee_rate": row["fee"] * 4 / row["weight"],
        "anomaly_score": 0.7 if flagged else 0.4,
        "percentile": 0.999,
        "threshold": 0.6,
        "is_anomaly": flagged,
        "flagged_by": "model" if flagged else None,
        "reasons": [],
        "patterns": [],
        "model_version": "3",
        "scored_at": row["append_time"],
        "date": row["append_time"].date(),
        "market_fee_rate": 15.5,
    }
    scored = pa.Table.from_pylist([{**row, **verdict}], SCORED_TRANSACTIONS)
    write(Path(lake), "scored_transactions", scored)


def sum_ended_days(lake: str | Path) -> None:
    """Sum all dates of `movements` but the newest in `address_days`, as the stream does."""
    tables = OpenTables(str(lake), "simulated")
    movements, scores = map(tables.rows_by_date, ("movements", "scored_transactions"))
    for day in sorted(movements)[:-1]:
        summed = summed_day(tables.ask, day, movements[day], scores.get(day, 0))
        write(Path(lake), "address_days", summed)


def _nullable() -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in RAW_TRANSACTIONS])


def surround(lake: str | Path, family: Sequence[Mapping[str, Any]]) -> str:
    """Give four scored rows of a lake insides: parent, a payout to many, its child, and that one's.

    Answers an address that is paid by the last three.
    """
    parent, payout, child, last = (row["hash"] for row in family)
    hub, data = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "6a0b68656c6c6f20776f726c64"
    payer, middle = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX"
    taproot = "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"
    many = [(hub, 4_000_000)] * 3 + [(f"bc1qpayout{n:04d}", 250_000) for n in range(80)]
    sides = [
        ({"77:0": (payer, 90_000_000)}, [(middle, 80_000_000)]),
        (
            {outpoint(parent, 0): (middle, 80_000_000), "78:1": (payer, 20_000_000)},
            [(taproot, 60_000_000), (hub, 200), (data, 0), *many],
        ),
        ({outpoint(payout, 0): (taproot, 60_000_000)}, [(hub, 59_000_000)]),
        ({outpoint(child, 0): (hub, 59_000_000)}, [(payer, 58_000_000)]),
    ]
    for scored, (inputs, outputs) in zip(family, sides, strict=True):
        kept = {name: scored[name] for name in ("hash", "event_time", "append_time")}
        write_insides(lake, a_payment(1, timedelta(), inputs, outputs) | kept)
    return hub
