"""Keeps `confirmations`: which block confirms a transaction, right through reorganisations.

At one height the block that was published last counts. A block that only lengthens the chain is
appended; one that takes another's place is merged, so that no reader sees half of the change.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_processing import transforms
from data_processing.sinks import Sinks

_DEEPEST = 1_000
"""Blocks below the lowest new one that a merge looks through: no reorganisation goes deeper."""


@dataclass(frozen=True)
class Tip:
    """The block that counts at one height, and when it was published."""

    block_hash: str
    append_time: datetime


class Confirmations:
    """The blocks that are in the table, and how new ones join them."""

    def __init__(self, sinks: Sinks) -> None:
        self._sinks = sinks
        rows = sinks.ask(
            "SELECT block_height, block_hash, MAX(append_time) AS at FROM confirmations "
            "GROUP BY 1, 2 ORDER BY 3",
            "confirmations",
        ).to_pylist()
        self._chain = {row["block_height"]: Tip(row["block_hash"], row["at"]) for row in rows}

    def write(self, arrived: DataFrame, blocks: pa.Table) -> int:
        """Write the blocks among the arrivals that are not there yet; return how many rows.

        `blocks` are their receipts in the order they were published.
        """
        last = {row["block_height"]: row for row in blocks.to_pylist()}
        fresh = {height: row for height, row in last.items() if self._is_news(row)}
        if not fresh:
            return 0
        offsets = [row["offset"] for row in fresh.values()]
        blocks_only = arrived.where(F.col("block_hash").isNotNull() & F.col("offset").isin(offsets))
        rows = transforms.confirmed_rows(blocks_only)
        count: int = sum(row["transactions"] for row in fresh.values())
        if self._lengthens(fresh):
            self._sinks.append("confirmations", rows, count)
        else:
            self._merge(rows, fresh)
        self._chain |= {h: Tip(row["block_hash"], row["append_time"]) for h, row in fresh.items()}
        return count

    def _is_news(self, row: dict[str, Any]) -> bool:
        tip = self._chain.get(row["block_height"])
        if tip is None:
            return True
        other, later = tip.block_hash != row["block_hash"], tip.append_time <= row["append_time"]
        return bool(other and later)

    def _lengthens(self, fresh: dict[int, dict[str, Any]]) -> bool:
        """Whether all of them are above the chain's end and linked to it, and to each other."""
        chain = {height: tip.block_hash for height, tip in self._chain.items()}
        for height, row in sorted(fresh.items()):
            below = chain.get(height - 1)
            if chain and (height <= max(chain) or below != row["previous_hash"]):
                return False
            chain[height] = row["block_hash"]
        return True

    def _merge(self, rows: DataFrame, fresh: dict[int, dict[str, Any]]) -> None:
        """Put blocks in place of others of their heights, and move what they confirm, at once."""
        lowest = min(fresh) - _DEEPEST
        last = F.max_by(F.struct(*rows.columns), "block_height").alias("last")
        rows = rows.groupBy("hash").agg(last).select("last.*").withColumn("gone", F.lit(False))
        present = self._sinks.frame("confirmations").where(F.col("block_height").isin(list(fresh)))
        gone = present.join(rows.select("hash"), "hash", "left_anti")
        source = rows.unionByName(gone.withColumn("gone", F.lit(True)))
        values: dict[str, str | Column] = {n: f"s.{n}" for n in rows.columns if n != "gone"}
        (
            self._sinks.delta("confirmations")
            .alias("t")
            .merge(source.alias("s"), f"t.hash = s.hash AND t.block_height >= {lowest}")
            .whenMatchedDelete("s.gone")
            .whenMatchedUpdate(set=values)
            .whenNotMatchedInsert("NOT s.gone", values=values)
            .execute()
        )
