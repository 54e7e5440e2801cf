"""The rows that are announced on `bitcoin-anomalies`, and their messages: flagged, and watched.

A transaction that is both has two messages, of different kinds.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from core.detector import explanation
from core.detector.rules import rules_of_row
from core.detector.verdict import Verdict
from core.lake import sql_time
from core.mutes import MutesReader, note_mutes
from core.tables import VERDICT
from core.topics import FLAGGED, WATCHED
from core.transaction import NUMERIC_FIELDS
from core.transaction_details import rows_by_hash
from core.watch_list import watched_sentence
from data_processing.lake_tables import LakeTables

Message = dict[str, Any]

_COPIED = (
    *("hash", *NUMERIC_FIELDS, "fee_rate", *VERDICT.names),
    *("source", "block_height"),
)
_TIMES = ("event_time", "append_time", "scored_at")

INPUTS = ("spent_outpoints", "input_addresses", "input_values")
OUTPUTS = ("output_addresses", "output_values")
"""What a message says of each input and output: who is linked to whom."""

CUTS = {"outpoints_cut": INPUTS, "outputs_cut": OUTPUTS}
"""Whether there are more than a message has, and the lists that this is said of."""

MOST_LISTED = 200
"""Inputs, and outputs, of one message: it stays below 128 KiB with the longest scripts."""


class AnnouncedRows(Protocol):
    """The rows of one kind of message, in the order of their commits."""

    def newest(self) -> datetime | None:
        """The time of the newest commit; None without one."""

    def of_commit(self, at: datetime) -> list[Message]:
        """The messages of the commit of this time."""
        ...

    def since(self, at: datetime) -> list[Message]:
        """The messages of all commits from a time on."""
        ...


class FlaggedRows:
    """The flagged rows of `scored_transactions`, each with the mute that matches it."""

    def __init__(self, tables: LakeTables, mutes: MutesReader | None) -> None:
        self._tables, self._mutes = tables, mutes

    def newest(self) -> datetime | None:
        """The newest `scored_at`; None while there is no row."""
        return _newest(self._tables, "scored_transactions", "scored_at")

    def of_commit(self, at: datetime) -> list[Message]:
        """The messages of the rows that were scored together."""
        return self._messages(f"scored_at = {sql_time(at)}")

    def since(self, at: datetime) -> list[Message]:
        """The messages of the rows that were scored at a time or later."""
        return self._messages(f"scored_at >= {sql_time(at)}")

    def _messages(self, where: str) -> list[Message]:
        sql = f"SELECT * FROM scored_transactions WHERE is_anomaly AND {where} ORDER BY scored_at"
        rows = self._tables.query(sql, "scored_transactions").to_pylist()
        _add_sides(self._tables, rows)
        if self._mutes is not None:
            note_mutes(rows, self._mutes.in_force(), partial(_ask, self._tables))
        return [anomaly_message(row) for row in rows]


class WatchedRows:
    """The rows of `watched`, with their verdicts where they are scored."""

    def __init__(self, tables: LakeTables) -> None:
        self._tables = tables

    def newest(self) -> datetime | None:
        """The newest `matched_at`; None while there is no row."""
        return _newest(self._tables, "watched", "matched_at")

    def of_commit(self, at: datetime) -> list[Message]:
        """The messages of the rows that were matched together."""
        return self._messages(f"matched_at = {sql_time(at)}")

    def since(self, at: datetime) -> list[Message]:
        """The messages of the rows that were matched at a time or later."""
        return self._messages(f"matched_at >= {sql_time(at)}")

    def _messages(self, where: str) -> list[Message]:
        sql = f"SELECT * FROM watched WHERE {where} ORDER BY matched_at"
        rows = self._tables.query(sql, "watched").to_pylist()
        _add_sides(self._tables, rows)
        columns = ", ".join(("hash", *VERDICT.names))
        verdicts = _by_hash(self._tables, "scored_transactions", columns, rows)
        return [watched_message(row, verdicts.get(row["hash"])) for row in rows]


def _newest(tables: LakeTables, name: str, time: str) -> datetime | None:
    newest: datetime | None = tables.query(f"SELECT MAX({time}) AS at FROM {name}", name)["at"][
        0
    ].as_py()
    return newest


def _add_sides(tables: LakeTables, rows: Sequence[dict[str, Any]]) -> None:
    """Add to each row the inputs, the outputs and `first_seen` that `raw_transactions` has."""
    columns = ", ".join(("hash", "first_seen", "equal_outputs", *INPUTS, *OUTPUTS, *CUTS))
    sides = _by_hash(tables, "raw_transactions", columns, rows)
    for row in rows:
        row |= sides.get(row["hash"], {})


def _by_hash(
    tables: LakeTables, table: str, columns: str, rows: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Some columns that a table has of these transactions, `hash` among them, by hash."""
    appended = {row["hash"]: row["append_time"] for row in rows}
    found = rows_by_hash(partial(_ask, tables), table, columns, appended)
    return {row["hash"]: row for row in found}


def _ask(tables: LakeTables, sql: str, *names: str) -> list[dict[str, Any]]:
    return list(tables.query(sql, *names).to_pylist())


def anomaly_message(row: Mapping[str, Any]) -> Message:
    """The message for a flagged row of `scored_transactions`: the row and its explanation.

    A row that also has `first_seen`, inputs and outputs of `raw_transactions` gives them to its
    message, `MOST_LISTED` of each side; null stands for what is not known. `muted_by` is the mute
    in force that matches it: such a message is no news.
    """
    verdict = Verdict.from_row(row)
    return (
        {name: row[name] for name in _COPIED}
        | {name: row[name].isoformat() for name in _TIMES}
        | {
            "kind": FLAGGED,
            "patterns": list(verdict.patterns),
            "explanation": explanation.explanation(verdict, rules_of_row(row)),
            "muted_by": row.get("muted_by"),
        }
        | _sides(row)
    )


def _sides(row: Mapping[str, Any]) -> dict[str, Any]:
    sides: dict[str, Any] = {name: row.get(name) for name in ("first_seen", "equal_outputs")}
    for cut, names in CUTS.items():
        lists = {name: row.get(name) for name in names}
        longer = any(len(values or ()) > MOST_LISTED for values in lists.values())
        sides[cut] = True if longer else row.get(cut)
        sides |= {n: values and values[:MOST_LISTED] for n, values in lists.items()}
    return sides


def watched_message(row: Mapping[str, Any], verdict: Mapping[str, Any] | None) -> Message:
    """The message for a row of `watched`; the verdict's fields are null while it is not scored."""
    told = {
        "kind": WATCHED,
        "fee_rate": row["fee"] * 4 / row["weight"],
        "event_time": row["event_time"].isoformat(),
        "append_time": row["append_time"].isoformat(),
        "explanation": watched_sentence(row["watched"], row["watched_count"]),
        "watched": row["watched"],
        "watched_count": row["watched_count"],
        "watch_severity": row["watch_severity"],
        "replaces": row["replaces"],
        **{name: None if verdict is None else verdict[name] for name in VERDICT.names},
    }
    return {name: row[name] for name in ("hash", *NUMERIC_FIELDS)} | told | _sides(row)
