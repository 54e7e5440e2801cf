"""Keeps `confirmations`: which block confirms each transaction, correct through reorganisations.

Of the blocks at one height, the one published last counts. Blocks that only extend the chain are
appended. A block that replaces another is merged, so that no reader sees half of the change.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_processing import transforms
from data_processing.lake_tables import LakeTables

_MERGE_DEPTH = 1_000
"""Blocks below the lowest new one that a merge searches: no reorganisation goes deeper."""


@dataclass(frozen=True)
class WrittenBlock:
    """The block that counts at one height, and when Kafka appended it.

    `offset` is its position in the topic, where this process has written it.
    """

    block_hash: str
    append_time: datetime
    offset: int | None = None


class Confirmations:
    """Adds blocks to the table, given those that it has already."""

    def __init__(self, tables: LakeTables) -> None:
        self._tables = tables
        rows = tables.query(
            "SELECT block_height, block_hash, MAX(append_time) AS at FROM confirmations "
            "GROUP BY 1, 2 ORDER BY 3",
            "confirmations",
        ).to_pylist()
        self._chain = {r["block_height"]: WrittenBlock(r["block_hash"], r["at"]) for r in rows}

    def write(self, parsed: DataFrame, blocks: pa.Table) -> int:
        """Write the blocks of a micro-batch that are new, in one commit; return the rows written.

        `blocks` are their receipts in the order they were published.
        """
        last = {row["block_height"]: row for row in blocks.to_pylist()}
        new = {height: row for height, row in last.items() if self._is_new(row)}
        if not new:
            return 0
        offsets = [row["offset"] for row in new.values()]
        new_blocks = parsed.where(F.col("block_hash").isNotNull() & F.col("offset").isin(offsets))
        rows = transforms.confirmed_rows(new_blocks)
        count: int = sum(row["transactions"] for row in new.values())
        if self._extends_chain(new):
            self._tables.append("confirmations", rows, count)
        else:
            self._merge(rows, new)
        self._chain |= {
            height: WrittenBlock(row["block_hash"], row["append_time"], row["offset"])
            for height, row in new.items()
        }
        return count

    def _is_new(self, row: dict[str, Any]) -> bool:
        written = self._chain.get(row["block_height"])
        if written is None:
            return True
        if written.block_hash == row["block_hash"]:
            return False
        if written.offset is not None:  # the order of the topic, whatever the broker's clock says
            return bool(written.offset < row["offset"])
        return bool(written.append_time <= row["append_time"])

    def _extends_chain(self, new: dict[int, dict[str, Any]]) -> bool:
        """Whether all new blocks are above the chain's end, and linked to it and to each other."""
        chain = {height: block.block_hash for height, block in self._chain.items()}
        for height, row in sorted(new.items()):
            below = chain.get(height - 1)
            if chain and (height <= max(chain) or below != row["previous_hash"]):
                return False
            chain[height] = row["block_hash"]
        return True

    def _merge(self, rows: DataFrame, new: dict[int, dict[str, Any]]) -> None:
        """Replace the blocks at the heights of new ones, and move what they confirm, at once."""
        lowest = min(new) - _MERGE_DEPTH
        last = F.max_by(F.struct(*rows.columns), "block_height").alias("last")
        rows = rows.groupBy("hash").agg(last).select("last.*").withColumn("gone", F.lit(False))
        present = self._tables.frame("confirmations").where(F.col("block_height").isin(list(new)))
        gone = present.join(rows.select("hash"), "hash", "left_anti")
        source = rows.unionByName(gone.withColumn("gone", F.lit(True)))
        values: dict[str, str | Column] = {n: f"s.{n}" for n in rows.columns if n != "gone"}
        (
            self._tables.spark_table("confirmations")
            .alias("t")
            .merge(source.alias("s"), f"t.hash = s.hash AND t.block_height >= {lowest}")
            .whenMatchedDelete("s.gone")
            .whenMatchedUpdate(set=values)
            .whenNotMatchedInsert("NOT s.gone", values=values)
            .execute()
        )
