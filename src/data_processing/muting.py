"""Which flagged rows a mute in force matches, as they are announced.

A mute of an address needs to know who pays. That is in `raw_transactions`, which is read for the
flagged few only, and only while such a mute is in force.
"""

from collections.abc import Sequence
from typing import Any

from core.lake import sql_list, sql_time
from core.mutes import MutesReader, addresses, muted_by
from data_processing.lake_tables import LakeTables

PAYERS = "input_addresses"


class Muting:
    """Notes on flagged rows of `scored_transactions` the mute that matches them."""

    def __init__(self, tables: LakeTables, mutes: MutesReader) -> None:
        self._tables, self._mutes = tables, mutes

    def note(self, rows: Sequence[dict[str, Any]]) -> None:
        """Set `muted_by` of each row, None where no mute in force matches it."""
        mutes = self._mutes.in_force()
        if addresses(mutes):
            self._add_payers([row for row in rows if row.get(PAYERS) is None])
        for row in rows:
            row["muted_by"] = muted_by(row, mutes)

    def _add_payers(self, rows: Sequence[dict[str, Any]]) -> None:
        if not rows:
            return
        days, times = {row["date"] for row in rows}, [row["append_time"] for row in rows]
        where = (
            f"date BETWEEN DATE '{min(days)}' AND DATE '{max(days)}'"
            f" AND append_time BETWEEN {sql_time(min(times))} AND {sql_time(max(times))}"
            f" AND hash IN {sql_list({row['hash'] for row in rows})}"
        )
        sql = f"SELECT hash, {PAYERS} FROM raw_transactions WHERE {where}"
        found = self._tables.query(sql, "raw_transactions").to_pylist()
        payers = {row["hash"]: row[PAYERS] for row in found}
        for row in rows:
            row[PAYERS] = payers.get(row["hash"])
