"""One stream a lake on an object store, whichever machine each stream is on.

There, a commit by Spark overwrites one that another process has just made. So a stream claims the
lake before it writes: a table of one row, which delta-rs replaces with a conditional put, so that
of two claims at once one fails. The claim of another stream counts for as long as that one commits.
Before each micro-batch a stream looks whether the claim is still its own, and ends if it is not.

A lake on a disk is not claimed: `writer_lock.py` guards it.
"""

import logging
import socket
import time
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from core.delta_log import LogDamagedError
from core.lake import open_or_create_table, open_table, query
from core.object_store import on_store
from core.tables import TIMESTAMP
from data_processing.stream_checkpoint import stream_folder
from data_processing.writer_lock import SecondWriterError

log = logging.getLogger(__name__)

CLAIM = "stream_claim"
"""The table beside those of the lake."""

_SCHEMA = pa.schema(
    [
        pa.field("owner", pa.string(), nullable=False),
        pa.field("host", pa.string(), nullable=False),
        pa.field("claimed_at", TIMESTAMP, nullable=False),
    ]
)
_LOOK_SECONDS = 1.0


class LakeClaim:
    """The claim of the stream whose checkpoints are in `data_dir`: it outlives the process."""

    def __init__(self, lake: str, origin: str, data_dir: Path) -> None:
        self._lake, self._origin = lake, origin
        self._owner_file = stream_folder(data_dir) / "owner"
        self._table: DeltaTable | None = None
        self._version = -1

    @cached_property
    def _owner(self) -> str:
        """A name that a stream keeps over its restarts."""
        path = self._owner_file
        if not path.exists() or not path.read_text().strip():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(token_hex(16))
        return path.read_text().strip()

    def acquire(self, seconds: float) -> None:
        """Claim a lake on a store; that of another stream once it commits nothing for `seconds`.

        Raises `SecondWriterError` where another stream commits, or claims it at the same moment.
        """
        if not on_store(self._lake):
            return
        self._table = open_or_create_table(self._lake, CLAIM, _SCHEMA, self._origin)
        holder = _holder(self._table)
        if holder is None or holder["owner"] != self._owner:
            if holder is not None:
                self._wait_for_silence(holder, seconds)
                log.warning("event=lake_taken_over from=%s", holder["host"])
            self._write(self._table)
        self.check()

    def check(self) -> None:
        """Raise `SecondWriterError` if another stream has claimed the lake since."""
        if self._table is None:
            return
        self._table.update_incremental()
        if (version := self._table.version()) == self._version:
            return
        holder = _holder(self._table)
        if holder is not None and holder["owner"] != self._owner:
            raise SecondWriterError(_said(holder, "has taken over this lake"))
        self._version = version

    def _wait_for_silence(self, holder: dict[str, Any], seconds: float) -> None:
        try:
            written = open_table(self._lake, "raw_transactions", self._origin)
        except LogDamagedError:  # which nobody can commit to
            return
        if written is None:
            return
        version, deadline = written.version(), time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            written.update_incremental()
            if written.version() != version:
                raise SecondWriterError(_said(holder, "writes to this lake"))

    def _write(self, table: DeltaTable) -> None:
        claim = [[self._owner], [socket.gethostname()], [datetime.now(UTC)]]
        try:
            write_deltalake(table, pa.table(claim, schema=_SCHEMA), mode="overwrite")
        except CommitFailedError as error:
            raise SecondWriterError(
                "another stream has claimed this lake at the same moment"
            ) from error


def _holder(table: DeltaTable) -> dict[str, Any] | None:
    """Who has claimed the lake: of two that did so at once, for both the same one."""
    rows = query("SELECT * FROM claim ORDER BY owner LIMIT 1", claim=table).to_pylist()
    return dict(rows[0]) if rows else None


def _said(holder: dict[str, Any], what: str) -> str:
    since = f"{holder['claimed_at']:%Y-%m-%d %H:%M:%S} UTC"
    return f"another stream {what}: that of host {holder['host']}, since {since}; stop one of them"
