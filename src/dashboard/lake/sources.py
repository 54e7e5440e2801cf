"""Conditions of time in SQL, with the partitions that can hold such rows.

The only I/O of the dashboard: the Delta tables (no JVM) and the API.

Everything here may fail while its counterpart is down, and raises one of `LAKE_ERRORS` or
`requests.RequestException`; nothing is kept but the open tables.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import pyarrow as pa
import requests
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from prometheus_client.parser import text_string_to_metric_families

from core.lake import OriginMismatchError, batches, open_table, query, sql_time
from core.tables import EVENT_AFTER, EVENT_BEFORE
from dashboard.lake.rows import SELECTED, Rows, empty, from_table, joined


def since(moment: datetime) -> str:
    """Rows of an event time from here on."""
    return f"date >= DATE '{(moment - EVENT_AFTER).date()}' AND event_time >= {sql_time(moment)}"


def until(moment: datetime) -> str:
    """Rows of an event time up to here."""
    return f"date <= DATE '{(moment + EVENT_BEFORE).date()}' AND event_time <= {sql_time(moment)}"


def around(near: datetime) -> str:
    """The partitions of rows of about this event time."""
    first, last = (near - EVENT_AFTER).date(), (near + EVENT_BEFORE).date()
    return f"date BETWEEN DATE '{first}' AND DATE '{last}'"


LAKE_ERRORS = (DeltaError, OSError, ValueError, pa.ArrowException, OriginMismatchError)
"""What reading a table raises while it is moved, vacuumed under the reader, or not ours."""

PART_BATCHES = 8
"""Batches of 8,192 rows that are kept in columns together."""


@dataclass
class Lake:
    """The Delta tables of one lake; a table that is not there yet reads as no rows."""

    uri: str
    origin: str
    _open: dict[str, DeltaTable] = field(default_factory=dict)

    def table(self, name: str) -> DeltaTable | None:
        """The newest version of a table, or None; raises `LAKE_ERRORS`."""
        table = self._open.pop(name, None)
        if table is None:
            table = open_table(self.uri, name, self.origin)
        else:
            table.update_incremental()
        if table is not None:
            self._open[name] = table
        return table

    def close(self) -> None:
        """Forget the open tables: what they knew may no longer be true."""
        self._open.clear()

    def _ask(self, name: str, sql: str) -> pa.Table | None:
        table = self.table(name)
        return None if table is None else query(sql, **{name: table})

    def identity(self) -> str | None:
        """The id of `scored_transactions`: another one is another table in its place."""
        table = self.table("scored_transactions")
        return None if table is None else str(table.metadata().id)

    def scored_since(self, start: datetime, scored: datetime, names: tuple[str, ...]) -> Rows:
        """Rows of an event time from `start` on that were scored from `scored` on."""
        where = f"{since(start)} AND scored_at >= {sql_time(scored)}"
        return self._rows(f"SELECT {SELECTED} FROM scored_transactions WHERE {where}", names)

    def ten_minutes(self, start: datetime) -> list[tuple[datetime, int]]:
        """When each ten minutes from `start` on begin, and their number of rows, newest first."""
        found = self._ask(
            "scored_transactions",
            "SELECT date_bin(INTERVAL '10 minutes', event_time) AS start, count(*) AS count"
            f" FROM scored_transactions WHERE {since(start)} GROUP BY 1 ORDER BY 1 DESC",
        )
        rows = [] if found is None else found.to_pylist()
        return [(max(row["start"], start), row["count"]) for row in rows]

    def scored_from(self, start: datetime) -> Rows:
        """All rows of an event time from `start` on, a part at a time: Arrow's take more room."""
        table, found = self.table("scored_transactions"), [empty()]
        if table is not None:
            sql = f"SELECT {SELECTED} FROM scored_transactions WHERE {since(start)}"
            parts = batches(sql, scored_transactions=table)
            while some := list(islice(parts, PART_BATCHES)):
                found.append(from_table(pa.Table.from_batches(some), found[-1].names))
        return joined(*found)

    def scored_between(self, start: datetime, end: datetime, most: int) -> Rows:
        """The newest `most` rows of an interval of event time, both ends included."""
        where = f"WHERE {since(start)} AND {until(end)} ORDER BY event_time DESC LIMIT {most}"
        return self._rows(f"SELECT {SELECTED} FROM scored_transactions {where}", ())

    def _rows(self, sql: str, names: tuple[str, ...]) -> Rows:
        table = self._ask("scored_transactions", sql)
        return empty() if table is None else from_table(table, names)

    def stats_since(self, start: datetime) -> pa.Table | None:
        """The ten-minute windows from `start` on, in order; None while there is no table."""
        where = f"window_start >= {sql_time(start - timedelta(minutes=10))}"
        return self._ask(
            "transaction_stats",
            f"SELECT * FROM transaction_stats WHERE {where} ORDER BY window_start",
        )

    def newest_arrival(self, start: datetime) -> datetime | None:
        """When Kafka appended the newest raw transaction, looking back to `start`."""
        table = self._ask(
            "raw_transactions",
            f"SELECT max(append_time) AS newest FROM raw_transactions"
            f" WHERE date >= DATE '{start.date()}'",
        )
        found: datetime | None = table.column("newest")[0].as_py() if table is not None else None
        return found

    def transaction(self, hash: str, near: datetime | None) -> dict[str, Any] | None:
        """One scored transaction with its reasons; `near` is its event time where known."""
        return self._of_hash("scored_transactions", hash, near)

    def facts(self, hash: str, near: datetime | None) -> dict[str, Any] | None:
        """One transaction as it was ingested."""
        return self._of_hash("raw_transactions", hash, near)

    def _of_hash(self, name: str, hash: str, near: datetime | None) -> dict[str, Any] | None:
        day = "" if near is None else f"{around(near)} AND "
        return self._first(name, f"SELECT * FROM {name} WHERE {day}hash = '{hash}' LIMIT 1")

    def confirmation(self, hash: str) -> dict[str, Any] | None:
        """The block that confirms a transaction, by what was published last."""
        return self._first(
            "confirmations",
            f"SELECT * FROM confirmations WHERE hash = '{hash}' ORDER BY append_time DESC LIMIT 1",
        )

    def replacement(self, hash: str) -> dict[str, Any] | None:
        """Where a transaction replaces another or is replaced itself, what was seen last."""
        return self._first(
            "replacements",
            f"SELECT * FROM replacements WHERE hash = '{hash}' OR replaced_hash = '{hash}'"
            " ORDER BY append_time DESC LIMIT 1",
        )

    def _first(self, name: str, sql: str) -> dict[str, Any] | None:
        found = self._ask(name, sql)
        rows: list[dict[str, Any]] = found.to_pylist() if found is not None else []
        return rows[0] if rows else None


@dataclass
class Api:
    """The prediction service; every answer is its status and its JSON."""

    url: str
    key: str | None = None
    timeout_seconds: float = 3
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        if self.key:
            self.session.headers["X-API-Key"] = self.key

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Ask; raises `requests.RequestException` where nothing or no JSON answers."""
        answer = self.session.get(f"{self.url}{path}", timeout=self.timeout_seconds)
        return answer.status_code, answer.json()

    def score(self, body: str) -> tuple[int, dict[str, Any]]:
        """Score a transaction's JSON: the project's eight fields, or Blockchain.com's own form."""
        path = "/predict/raw" if '"inputs"' in body else "/predict"
        answer = self.session.post(
            f"{self.url}{path}",
            data=body.encode(),
            headers={"Content-Type": "application/json"},
            timeout=self.timeout_seconds,
        )
        return answer.status_code, answer.json()


@dataclass
class Trainer:
    """The trainer's own metrics, which tell how far traffic has drifted and what it judged last."""

    url: str
    timeout_seconds: float = 3

    def drift(self) -> dict[str, float]:
        """The population stability index by feature; raises `requests.RequestException`."""
        answer = requests.get(f"{self.url}/metrics", timeout=self.timeout_seconds)
        answer.raise_for_status()
        return {
            sample.labels["feature"]: sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name == "bitcoin_trainer_drift_index"
        }
