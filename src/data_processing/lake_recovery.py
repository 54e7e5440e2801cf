"""Repairs the logs of the tables before the stream opens them, and what a lost commit leaves.

The rows of a commit that cannot be read any more are still in Kafka. They are read again, because
the query starts where the tables say, and each table is complete again:

- `raw_transactions`, `quarantine` and `confirmations` by the query itself. Where
  `scored_transactions` has scores of rows that `raw_transactions` has lost, these are deleted, or
  they would be written twice.
- `movements` from `raw_transactions`: its newest two dates are written again where rows lack.
- the other tables by their chores, which compare them with those.
"""

import logging
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path

import pyarrow as pa

from core.delta_log import has_lost_commits, inspect, repair
from core.lake import table_uri
from core.tables import RAW_TRANSACTIONS, TABLES
from data_processing.lake_tables import LakeTables
from data_processing.movements import SIDES, movement_rows
from data_processing.stream_checkpoint import checkpoints_folder, set_aside

log = logging.getLogger(__name__)

_PARTS_AT_ONCE = 8
"""Batches of at most 8,192 transactions whose movements are written together."""


def repair_logs(lake: str, data_dir: Path) -> None:
    """Repair the logs of all tables; the writer's lock must be held.

    Raises `core.delta_log.LogDamagedError`, before anything is changed, if one of them cannot be.
    """
    damages = {name: inspect(table_uri(lake, name)) for name in TABLES}
    for damage in damages.values():
        if damage.fatal:
            raise damage.error()
    if any(damage.lost_commits for damage in damages.values()):
        # Before the repair: the next start after a crash here would find no damage any more.
        set_aside(checkpoints_folder(data_dir), "commits of the lake are lost")
    for name, damage in damages.items():
        if damage:
            repair(damage)
            log.warning(
                "event=delta_log_repaired table=%s files_set_aside=%s commits_lost=%d",
                *(name, ",".join(damage.unneeded) or "none", len(damage.lost_commits)),
            )


def delete_unbacked_scores(tables: LakeTables) -> None:
    """Delete the scores of transactions that `raw_transactions` has lost with a commit."""
    if not has_lost_commits(table_uri(tables.lake, "raw_transactions")):
        return
    newest = 'SELECT MAX(date) AS day FROM raw_transactions GROUP BY "partition"'
    days = tables.query(newest, "raw_transactions")["day"].to_pylist()
    where = f"date >= '{min(days, default=date.min)}'"
    sql = f"SELECT hash FROM raw_transactions WHERE {where}"
    backed = tables.query(sql, "raw_transactions")
    result = (
        tables.open("scored_transactions")
        .merge(backed, "raw.hash = scored.hash", source_alias="raw", target_alias="scored")
        .when_not_matched_by_source_delete(f"scored.{where}")
        .execute()
    )
    if deleted := result["num_target_rows_deleted"]:
        log.warning("event=unbacked_scores_deleted rows=%d", deleted)


def restore_movements(tables: LakeTables) -> None:
    """Write the movements of the newest dates again, where some were lost with a commit."""
    if not has_lost_commits(table_uri(tables.lake, "movements")):
        return
    for day in sorted(tables.rows_by_date("raw_transactions"))[-2:]:
        lost = _expected_movements(tables, day) - _written_movements(tables, day)
        if lost > 0:
            tables.open("movements").delete(f"date = '{day}'")
            for rows in _movements_of(tables, day):
                tables.append_arrow("movements", rows)
            log.warning("event=movements_restored date=%s lost=%d", day, lost)


def _expected_movements(tables: LakeTables, day: date) -> int:
    """How many inputs and outputs the transactions of a date have."""
    counts = " + ".join(f"coalesce(cardinality({name}), 0)" for name in SIDES[::2])
    sql = f"SELECT sum({counts}) AS n FROM raw_transactions WHERE date = '{day}'"
    return int(tables.query(sql, "raw_transactions")["n"][0].as_py() or 0)


def _written_movements(tables: LakeTables, day: date) -> int:
    once = f"SELECT DISTINCT hash, spent, position FROM movements WHERE date = '{day}'"
    return int(tables.query(f"SELECT count(*) AS n FROM ({once})", "movements")["n"][0].as_py())


def _movements_of(tables: LakeTables, day: date) -> Iterator[pa.Table]:
    """The movements of a date, those of some ten thousand transactions at a time."""
    names = ("hash", "event_time", "append_time", *SIDES)
    schema = pa.schema([RAW_TRANSACTIONS.field(name) for name in names])
    sql = f"SELECT {', '.join(names)} FROM raw_transactions WHERE date = '{day}'"
    parts = tables.query_batches(sql, "raw_transactions")
    while some := list(islice(parts, _PARTS_AT_ONCE)):
        yield movement_rows(pa.Table.from_batches(some).cast(schema))  # the engine's are views
