"""The rows that are announced on `bitcoin-anomalies`, and their messages: flagged, and watched.

A transaction that is both has two messages, of different kinds.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from core.detector import explanation
from core.detector.rules import rules_of_row
from core.detector.verdict import Verdict
from core.lake import sql_list, sql_time
from core.mutes import MutesReader, note_mutes
from core.tables import VERDICT
from core.topics import FLAGGED, WATCHED
from core.transaction import NUMERIC_FIELDS
from core.watch_list import watched_sentence
from data_processing.lake_tables import LakeTables

Message = dict[str, Any]

_COPIED = (
    *("hash", *NUMERIC_FIELDS, "fee_rate", *VERDICT.names),
    *("source", "block_height"),
)
_TIMES = ("event_time", "append_time", "scored_at")
_ROWS_AT_ONCE = 500

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
            note_mutes(rows, self._mutes.in_force(), self._raw)
        return [anomaly_message(row) for row in rows]

    def _raw(self, sql: str) -> list[dict[str, Any]]:
        return list(self._tables.query(sql, "raw_transactions").to_pylist())


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
        verdicts = self._verdicts(rows)
        return [watched_message(row, verdicts.get(row["hash"])) for row in rows]

    def _verdicts(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """The scored rows of some hashes, read from the files that can have them."""
        if not rows:
            return {}
        times = [row["append_time"] for row in rows]
        sql = f"""SELECT hash, {", ".join(VERDICT.names)} FROM scored_transactions
            WHERE date BETWEEN DATE '{min(times).date()}' AND DATE '{max(times).date()}'
            AND append_time BETWEEN {sql_time(min(times))} AND {sql_time(max(times))}
            AND hash IN {sql_list({row["hash"] for row in rows})}"""
        found = self._tables.query(sql, "scored_transactions").to_pylist()
        return {row["hash"]: row for row in found}


def _newest(tables: LakeTables, name: str, time: str) -> datetime | None:
    newest: datetime | None = tables.query(f"SELECT MAX({time}) AS at FROM {name}", name)["at"][
        0
    ].as_py()
    return newest


def _add_sides(tables: LakeTables, rows: list[dict[str, Any]]) -> None:
    """Add to each row the inputs and outputs that `raw_transactions` has of it.

    The time of appending is the same in both tables, and files without it are not opened.
    """
    names = ", ".join(("hash", "equal_outputs", *INPUTS, *OUTPUTS, *CUTS))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        times = [row["append_time"] for row in some]
        found = tables.query(
            f"SELECT {names} FROM raw_transactions"
            f" WHERE date IN {sql_list({str(row['date']) for row in some})}"
            f" AND append_time BETWEEN {sql_time(min(times))} AND {sql_time(max(times))}"
            f" AND hash IN {sql_list({row['hash'] for row in some})}",
            "raw_transactions",
        )
        sides = {row["hash"]: row for row in found.to_pylist()}
        for row in some:
            row |= sides.get(row["hash"], {})


def anomaly_message(row: Mapping[str, Any]) -> Message:
    """The message for a flagged row of `scored_transactions`: the row and its explanation.

    A row that also has the inputs and outputs of `raw_transactions` gives them to its message,
    `MOST_LISTED` of each side; null stands for what is not known. `muted_by` is the mute in force
    that matches it: such a message is no news.
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
    sides: dict[str, Any] = {"equal_outputs": row.get("equal_outputs")}
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
