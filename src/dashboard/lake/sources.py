"""What the dashboard reads: the Delta tables (without a JVM), the API and the trainer's metrics.

Each read may fail while the other side is down. A table then raises one of `LAKE_ERRORS`, a
service raises `requests.RequestException`. Nothing is cached here but the open tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

import pyarrow as pa
import requests
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from prometheus_client.parser import text_string_to_metric_families

from core.lake import (
    OriginMismatchError,
    batches,
    completed,
    query,
    rows,
    rows_by_date,
    sql_time,
)
from core.market import Market
from core.open_tables import OpenTable
from core.tables import EVENT_AFTER, EVENT_BEFORE
from core.transaction import DETECTOR_FIELDS
from dashboard.lake.rows import SELECTED_COLUMNS, Rows, concatenate, from_table, no_rows

LAKE_ERRORS = (DeltaError, OSError, ValueError, pa.ArrowException, OriginMismatchError)
"""What reading a table raises while it is moved or vacuumed, or when it is of another origin."""

MOST_REPLACEMENTS = 20
"""Rivals of one transaction that are looked at."""

MEMPOOL_EXPIRY = timedelta(days=14)
"""Nodes drop what waits longer (Bitcoin Core, `-mempoolexpiry`, 336 hours)."""

WRITE_SECONDS = 20
"""Longest wait for the API to write: it finds old transactions day by day."""

PART_BATCHES = 8
"""Batches of 8,192 rows that are converted to columns together."""


@dataclass
class Lake:
    """The Delta tables of one lake. A table that does not exist yet reads as no rows."""

    uri: str
    origin: str
    _open: dict[str, OpenTable] = field(default_factory=dict)

    def table(self, name: str) -> DeltaTable | None:
        """The newest version of a table, or None; raises `LAKE_ERRORS`."""
        if name not in self._open:
            self._open[name] = OpenTable(self.uri, name, self.origin)
        return self._open[name].newest()

    def close(self) -> None:
        """Drop the open tables, so that the next read opens them again."""
        self._open.clear()

    def query(self, name: str, sql: str) -> pa.Table | None:
        """The result of an SQL query on one table, None while there is no table."""
        table = self.table(name)
        return None if table is None else query(completed(sql, **{name: table}), **{name: table})

    def ask(self, sql: str, *names: str) -> list[dict[str, Any]]:
        """The rows of an SQL query on several tables, none while one of them is missing."""
        tables = {name: table for name in names if (table := self.table(name)) is not None}
        if len(tables) < len(names):
            return []
        return rows(sql, **tables)

    def rows_by_date(self, name: str) -> dict[date, int]:
        """The number of rows of each of a table's partitions."""
        table = self.table(name)
        return {} if table is None else rows_by_date(table)

    def batches(self, name: str, sql: str) -> Iterator[pa.RecordBatch]:
        """The same, some thousand rows at a time, for results too large for memory."""
        table = self.table(name)
        if table is None:
            return iter(())
        return batches(completed(sql, **{name: table}), **{name: table})

    def identity(self) -> str | None:
        """The id of `scored_transactions`; it changes when the table is replaced by another."""
        table = self.table("scored_transactions")
        return None if table is None else str(table.metadata().id)

    def scored_since(self, start: datetime, scored: datetime, labels: tuple[str, ...]) -> Rows:
        """Rows whose event time is `start` or later and that were scored at `scored` or later."""
        where = f"{_from(start)} AND scored_at >= {sql_time(scored)}"
        return self._scored(f"WHERE {where}", labels)

    def counts_by_ten_minutes(self, start: datetime) -> list[tuple[datetime, int]]:
        """Begin and row count of each ten minutes from `start` on, newest first."""
        counts = self.query(
            "scored_transactions",
            "SELECT date_bin(INTERVAL '10 minutes', event_time) AS start, count(*) AS count"
            f" FROM scored_transactions WHERE {_from(start)} GROUP BY 1 ORDER BY 1 DESC",
        )
        rows = [] if counts is None else counts.to_pylist()
        return [(max(row["start"], start), row["count"]) for row in rows]

    def scored_from(self, start: datetime) -> Rows:
        """All rows from event time `start` on, converted in parts to save memory."""
        parts = [no_rows()]
        sql = f"SELECT {SELECTED_COLUMNS} FROM scored_transactions WHERE {_from(start)}"
        stream = self.batches("scored_transactions", sql)
        while part := list(islice(stream, PART_BATCHES)):
            parts.append(from_table(pa.Table.from_batches(part), parts[-1].versions))
        return concatenate(*parts)

    def _scored(self, where: str, versions: tuple[str, ...]) -> Rows:
        sql = f"SELECT {SELECTED_COLUMNS} FROM scored_transactions {where}"
        table = self.query("scored_transactions", sql)
        return no_rows() if table is None else from_table(table, versions)

    def window_statistics(self, start: datetime) -> pa.Table | None:
        """The ten-minute windows from `start` on, in order; None while there is no table."""
        where = f"window_start >= {sql_time(start - timedelta(minutes=10))}"
        return self.query(
            "transaction_stats",
            f"SELECT * FROM transaction_stats WHERE {where} ORDER BY window_start",
        )

    def newest_market(self, start: datetime) -> Market | None:
        """The newest going fee rate among the days from `start` on, None where there is none."""
        columns = ", ".join(Market._fields)
        sql = (
            f"SELECT {columns} FROM market WHERE date >= DATE '{start.date()}'"
            " ORDER BY minute DESC LIMIT 1"
        )
        return next((Market(**row) for row in self._rows("market", sql)), None)

    def markets(self, start: datetime, end: datetime, seconds: int) -> pa.Table | None:
        """The going fee rate by bins of so many seconds, in order: `time`, `fee_rate`, `low`,
        `high`, each the median of the bin's minutes; None while there is no table.
        """
        first, last = start - timedelta(minutes=1), end
        return self.query(
            "market",
            f"SELECT date_bin(INTERVAL '{seconds} seconds', minute) AS time,"
            " median(fee_rate) AS fee_rate, median(low) AS low, median(high) AS high FROM market"
            f" WHERE date BETWEEN DATE '{first.date()}' AND DATE '{last.date()}'"
            f" AND minute BETWEEN {sql_time(first)} AND {sql_time(last)} GROUP BY 1 ORDER BY 1",
        )

    def newest_arrival(self, start: datetime) -> datetime | None:
        """When Kafka appended the newest raw transaction, among the days from `start` on."""
        table = self.query(
            "raw_transactions",
            f"SELECT max(append_time) AS newest FROM raw_transactions"
            f" WHERE date >= DATE '{start.date()}'",
        )
        newest: datetime | None = table.column("newest")[0].as_py() if table is not None else None
        return newest

    def transaction(self, hash: str, event_time: datetime | None) -> dict[str, Any] | None:
        """One scored transaction with its reasons, by its hash or the first digits of it.

        An `event_time` saves reading other days.
        """
        day = "" if event_time is None else f"{days_around(event_time)} AND "
        name = f"hash = '{hash}'" if len(hash) == 64 else f"starts_with(hash, '{hash}')"
        sql = f"SELECT * FROM scored_transactions WHERE {day}{name} LIMIT 1"
        return next(iter(self._rows("scored_transactions", sql)), None)

    def confirmation(self, hash: str, since: datetime) -> dict[str, Any] | None:
        """The block, published at `since` or later, that confirms a transaction; of several the
        one published last.
        """
        sql = (
            f"SELECT * FROM confirmations WHERE {appended_since(since)} AND hash = '{hash}'"
            " ORDER BY append_time DESC LIMIT 1"
        )
        return next(iter(self._rows("confirmations", sql)), None)

    def watched(self, hash: str, since: datetime) -> dict[str, Any] | None:
        """What a transaction first seen at `since` did to the watch list of that time."""
        sql = (
            f"SELECT * FROM watched WHERE {appended_since(since)} AND hash = '{hash}'"
            " ORDER BY matched_at LIMIT 1"
        )
        return next(iter(self._rows("watched", sql)), None)

    def replacement_chain(self, hash: str, since: datetime) -> list[dict[str, Any]]:
        """The replacements that led to a transaction first seen at `since`, and those after it.

        The oldest is first, and there are at most `MOST_REPLACEMENTS`, the newest.
        """
        known, steps = {hash}, list[dict[str, Any]]()
        while True:
            names = ", ".join(f"'{name}'" for name in sorted(known))
            sql = (
                f"SELECT * FROM replacements WHERE {appended_since(since - MEMPOOL_EXPIRY)}"
                f" AND (hash IN ({names}) OR replaced_hash IN ({names}))"
                f" ORDER BY append_time DESC LIMIT {MOST_REPLACEMENTS}"
            )
            found = self._rows("replacements", sql)[::-1]
            if len(found) == len(steps):
                return found
            steps = found
            known |= {step[side] for step in found for side in ("hash", "replaced_hash")}

    def _rows(self, name: str, sql: str) -> list[dict[str, Any]]:
        table = self.query(name, sql)
        return [] if table is None else list(table.to_pylist())


def _from(start: datetime) -> str:
    """Event time `start` or later in SQL, with the date partitions that can hold such rows."""
    return f"date >= DATE '{(start - EVENT_AFTER).date()}' AND event_time >= {sql_time(start)}"


def appended_since(event_time: datetime) -> str:
    """The date partitions with what was published after a transaction was first seen."""
    return f"date >= DATE '{(event_time - EVENT_AFTER).date()}'"


def days_around(first: datetime, last: datetime | None = None) -> str:
    """The date partitions, in SQL, of what was first seen at a time, or between two."""
    early, late = (first - EVENT_AFTER).date(), ((last or first) + EVENT_BEFORE).date()
    return f"date BETWEEN DATE '{early}' AND DATE '{late}'"


@dataclass
class Api:
    """The prediction service. Each call returns the HTTP status and the JSON body."""

    url: str
    key: str | None = None
    timeout_seconds: float = 3
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        if self.key:
            self.session.headers["X-API-Key"] = self.key

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """GET a path; raises `requests.RequestException` without an answer or without JSON."""
        response = self.session.get(f"{self.url}{path}", timeout=self.timeout_seconds)
        return response.status_code, response.json()

    def send(
        self, method: str, path: str, seconds: float | None = None, **content: Any
    ) -> tuple[int, dict[str, Any]]:
        """Send what `requests` takes (`params`, `json`, `data`, `headers`); raises as `get`.

        `seconds` is the longest wait for the answer, where that is not `timeout_seconds`.
        """
        timeout = seconds or self.timeout_seconds
        response = self.session.request(method, f"{self.url}{path}", timeout=timeout, **content)
        return response.status_code, response.json()

    def file(self, path: str, seconds: float) -> tuple[int, bytes]:
        """The status and the content of a file; raises `requests.RequestException`."""
        response = self.session.get(f"{self.url}{path}", timeout=seconds)
        return response.status_code, response.content

    def score(self, body: str) -> tuple[int, dict[str, Any]]:
        """Score a transaction's JSON: the project's eight fields, or Blockchain.com's own form."""
        path = "/predict/raw" if '"inputs"' in body else "/predict"
        response = self.session.post(
            f"{self.url}{path}",
            data=body.encode(),
            headers={"Content-Type": "application/json"},
            timeout=self.timeout_seconds,
        )
        return response.status_code, response.json()

    def counterfactuals(self, row: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Ask what would make a scored transaction ordinary beside the market of its time."""
        fields = ("hash", *DETECTOR_FIELDS)
        response = self.session.post(
            f"{self.url}/predict/counterfactuals",
            json={name: row[name] for name in fields if row.get(name) is not None},
            timeout=self.timeout_seconds,
        )
        return response.status_code, response.json()


@dataclass
class Trainer:
    """The trainer's metrics endpoint, which exports how far traffic has drifted."""

    url: str
    timeout_seconds: float = 3

    def drift(self) -> dict[str, float]:
        """The population stability index by feature; raises `requests.RequestException`."""
        response = requests.get(f"{self.url}/metrics", timeout=self.timeout_seconds)
        response.raise_for_status()
        return {
            sample.labels["feature"]: sample.value
            for family in text_string_to_metric_families(response.text)
            for sample in family.samples
            if sample.name == "bitcoin_trainer_drift_index"
        }
