"""A table of scored transactions, as the stream writes it."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from deltalake import write_deltalake

from core.lake import open_or_create_table
from core.tables import SCORED_TRANSACTIONS
from core.transaction import NUMERIC_FIELDS

NOW = datetime.now(UTC).replace(microsecond=0)
REASON = {
    "feature": "fee_rate",
    "value": 900.0,
    "usual_low": 1.0,
    "usual_high": 60.0,
    "contribution": 1.5,
}


def scored_row(name: str, age: timedelta, score: float) -> dict[str, object]:
    """A transaction with a score, which is flagged from 0.6 on."""
    seen = NOW - age
    return {
        "hash": name,
        **dict.fromkeys(NUMERIC_FIELDS, 100),
        "fee_rate": 4.0,
        "source": "mempool",
        "block_height": None,
        "event_time": seen,
        "append_time": seen,
        "anomaly_score": score,
        "percentile": 0.99,
        "threshold": 0.6,
        "is_anomaly": score >= 0.6,
        "pattern": None,
        "patterns": [],
        "reasons": [REASON],
        "model_version": "3",
        "flagged_by": "model" if score >= 0.6 else None,
        "market_fee_rate": 15.5,
        "scored_at": seen,
        "date": seen.date(),
    }


ROWS = [
    scored_row("old", timedelta(days=3), 0.9),
    scored_row("ordinary", timedelta(minutes=2), 0.4),
    scored_row("first", timedelta(hours=5), 0.7),
    scored_row("newest", timedelta(minutes=1), 0.65),
]


def append_scored(
    lake: str,
    rows: list[dict[str, object]],
    origin: str = "simulated",
    schema: pa.Schema = SCORED_TRANSACTIONS,
) -> None:
    """Append rows to the table, which is created where it is missing."""
    table = open_or_create_table(lake, "scored_transactions", schema, origin, ["date"])
    write_deltalake(table, pa.Table.from_pylist(rows, schema=schema), mode="append")
