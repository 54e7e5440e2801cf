"""The tables that people's work is kept in: what is written about transactions, not by the stream.

They are Delta tables in a folder of their own, so that the stream's lake stays read-only for every
other service. Rows are only appended: what a person changes is a new row, and history is kept. One
table has one writing service. On a disk its processes take turns by a lock; on an object store they
need none: the store gives each version of a table to one of them (`core.object_store`), and
delta-rs then appends after it.
"""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from core.alert_rows import ALERTS, DELIVERIES
from core.case_rows import CASE_EVENTS, CASE_MEMBERS
from core.lake import open_or_create_table, open_table, query
from core.object_store import on_store
from core.tables import TIMESTAMP
from core.transaction import NUMERIC_FIELDS

log = logging.getLogger(__name__)

MARKS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("hash", pa.string(), nullable=False),
        pa.field("mark", pa.string(), nullable=False),
        pa.field("note", pa.string(), nullable=False),
        pa.field("author", pa.string(), nullable=False),
        pa.field("marked_at", TIMESTAMP, nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in NUMERIC_FIELDS),
        pa.field("fee_rate", pa.float64(), nullable=False),
        pa.field("market_fee_rate", pa.float64()),
        pa.field("anomaly_score", pa.float64(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
        pa.field("flagged_by", pa.string()),
        pa.field("patterns", pa.list_(pa.string()), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("event_time", TIMESTAMP, nullable=False),
    ]
)
"""What people think of transactions; the newest row of a hash counts.

`mark` is one of `core.marks.MARKS`, or `core.marks.WITHDRAWN`. The columns after `marked_at` are
the transaction and its verdict at that time: the lake forgets them earlier. `flagged_by` is null
where nothing flagged it.
"""

MUTES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("written_at", TIMESTAMP, nullable=False),
        pa.field("author", pa.string(), nullable=False),
        pa.field("note", pa.string(), nullable=False),
        pa.field("address", pa.string()),
        pa.field("pattern", pa.string()),
        pa.field("fee_rate_min", pa.float64()),
        pa.field("fee_rate_max", pa.float64()),
        pa.field("output_value_min", pa.int64()),
        pa.field("output_value_max", pa.int64()),
        pa.field("outputs_count_min", pa.int64()),
        pa.field("outputs_count_max", pa.int64()),
        pa.field("created_at", TIMESTAMP, nullable=False),
        pa.field("until", TIMESTAMP, nullable=False),
        pa.field("ended_at", TIMESTAMP),
    ]
)
"""What is muted until when, as `core.mutes.Mute`; the newest row of an id counts."""

WATCH_LIST = pa.schema(
    [
        *(
            pa.field(name, pa.string(), nullable=False)
            for name in ("entry", "kind", "name", "reason", "severity", "action", "author")
        ),
        pa.field("changed_at", TIMESTAMP, nullable=False),
    ]
)
"""One row a change of the watch list (`core.watch_list`), written by the API.

`action` is `added`, `changed` or `removed`; a removal repeats what the entry was.
"""

CASEWORK_TABLES: dict[str, pa.Schema] = {
    "marks": MARKS,
    "mutes": MUTES,
    "watch_list": WATCH_LIST,
    "case_members": CASE_MEMBERS,
    "case_events": CASE_EVENTS,
    "alerts": ALERTS,
    "deliveries": DELIVERIES,
}
"""The columns of every casework table by its name."""

_SMALL_COMMITS = 50
"""After so many commits the writer merges their files, each of a row or some."""

_KEEP_HOURS = 2
"""Files that were merged stay so long, for readers of the older version."""


class CaseworkStore:
    """The casework tables of one origin (`live` or `simulated`) below `root`.

    Readers on other machines and threads may use one object each; `append` may be called from any
    thread.
    """

    def __init__(self, root: str, origin: str) -> None:
        self.root, self.origin = root, origin
        self._lock = Lock()

    def append(self, name: str, rows: pa.Table, transaction: tuple[str, int] | None = None) -> None:
        """Append rows in one commit; create the table with the first.

        `transaction` is an application and its position, kept in the same commit: `position`
        answers it after a restart. Raises `OriginMismatchError`, and `DeltaError` or `OSError` when
        the rows cannot be written.
        """
        properties = CommitProperties(
            app_transactions=[Transaction(*transaction)] if transaction else None
        )
        with self._writing(name):
            table = self._appended(name, rows.cast(CASEWORK_TABLES[name]), properties)
            if (table.version() + 1) % _SMALL_COMMITS == 0:
                _merge_files(table)

    def _appended(self, name: str, rows: pa.Table, properties: CommitProperties) -> DeltaTable:
        """The table, with the rows in it.

        Of two processes that create a table on a store at one time, delta-rs commits the second
        creation as a change of the first one's table. That refuses an append in between, which is
        then repeated: it has not been committed. The table is opened anew for each append: a writer
        must not go on from a version that a backup has replaced.
        """
        while True:
            table = open_or_create_table(self.root, name, CASEWORK_TABLES[name], self.origin)
            try:
                write_deltalake(
                    table, rows, mode="append", schema_mode="merge", commit_properties=properties
                )
                return table
            except CommitFailedError:
                if table.version() > 0:
                    raise

    def position(self, name: str, application: str) -> int | None:
        """The position that the newest commit of an application has; None without one."""
        table = open_table(self.root, name, self.origin)
        return None if table is None else table.transaction_version(application)

    def table(self, name: str) -> DeltaTable | None:
        """The newest version of a table; None before its first row. Raises as `open_table`."""
        return open_table(self.root, name, self.origin)

    def query(self, sql: str, *names: str) -> pa.Table | None:
        """The result of SQL over the named tables; None where one of them has no row yet."""
        tables = {name: self.table(name) for name in names}
        if any(table is None for table in tables.values()):
            return None
        return query(sql, **{name: table for name, table in tables.items() if table is not None})

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """Let one process and thread write a table at a time; on a local disk by a lock file."""
        with self._lock:
            if on_store(self.root):
                yield
                return
            folder = Path(self.root)
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f".{name}.lock").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield


def time_after(last: datetime | None) -> datetime:
    """The time of a row that is written now: later than the `last` one, whose clock was ahead.

    Of what people say of one thing the newest counts, whatever the clock said before.
    """
    now = datetime.now(UTC)
    return now if last is None else max(now, last + timedelta(microseconds=1))


def _merge_files(table: DeltaTable) -> None:
    """Merge the files, after an append; it is committed, so whatever fails here is no fault of it.

    Another process may merge the same files.
    """
    try:
        table.update_incremental()
        table.optimize.compact()
        table.vacuum(_KEEP_HOURS, dry_run=False, enforce_retention_duration=False)
        table.create_checkpoint()
        table.cleanup_metadata()
    except CommitFailedError:
        return
    except (DeltaError, OSError) as error:
        log.warning("event=files_not_merged table=%s reason=%s", table.table_uri, error)
