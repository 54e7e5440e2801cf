"""One micro-batch: parse and judge in the workers, decide by key on the driver, write.

The order makes every crash harmless. Rejects are written first, then `raw_transactions`: what a
restart reads again is recognised by its key. What a crash kept out of `scored_transactions` is
found by counting the rows of each date in both. So no batch number, checkpoint or state has to
agree with a table.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import Broadcast, SparkContext
from pyspark.sql import DataFrame

from core.detector.champion import Champion
from data_processing import transforms
from data_processing.arrival import ARRIVALS, arrivals
from data_processing.confirmations import Confirmations
from data_processing.foundation import spark_schema
from data_processing.known import as_keys, firsts, hours
from data_processing.resume import Memory
from data_processing.sinks import Sinks

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InWorkers:
    """Brings the champion into a worker: broadcast once, not sent with every task."""

    broadcast: "Broadcast[Champion] | None" = None
    version: str | None = None

    def __call__(self) -> Champion | None:
        """The champion, or None while there is none."""
        return self.broadcast.value if self.broadcast else None


class ChampionCopies:
    """The copies of the champion in the workers; one version a micro-batch."""

    def __init__(self, context: SparkContext, champion: Callable[[], Champion | None]) -> None:
        self._context, self._champion = context, champion
        self._copies = InWorkers()
        self._sent: Champion | None = None

    def current(self) -> InWorkers:
        """The champion as it is now, for the whole of one job."""
        champion = self._champion()
        if champion is not None and champion is not self._sent:  # a number may come twice
            if self._copies.broadcast is not None:
                self._copies.broadcast.unpersist()
            self._sent = champion
            self._copies = InWorkers(self._context.broadcast(champion), champion.version)
        return self._copies


@dataclass
class Taken:
    """What a micro-batch brought: receipts of the new transactions, of rejects and of blocks.

    `newest` is when Kafka appended the last of its records; `seconds` is what each stage took: to
    read, parse, judge and decide, then each table's write.
    """

    new: pa.Table
    rejects: pa.Table
    blocks: pa.Table
    repeats: int
    model_version: str | None
    newest: datetime
    confirmed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    scored_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def scored(self) -> bool:
        """Whether there was a champion to score them."""
        return self.model_version is not None

    @property
    def flagged(self) -> int:
        """How many of the new transactions are flagged."""
        return int(pc.sum(self.new["is_anomaly"]).as_py() or 0)


class Intake:
    """Takes micro-batches into the tables."""

    def __init__(self, sinks: Sinks, memory: Memory, champion: ChampionCopies) -> None:
        self._sinks, self._memory, self._champion = sinks, memory, champion
        self._confirmations = Confirmations(sinks)

    def take(self, batch: DataFrame) -> Taken | None:
        """Write a micro-batch of Kafka's records to raw, scored and quarantine.

        Returns None for one without records, as Spark makes of topics that are still empty.
        """
        judge = self._champion.current()
        records = batch.select("topic", "partition", "offset", "timestamp", "value")
        arrived = records.mapInArrow(arrivals(judge), spark_schema(ARRIVALS)).persist()
        try:
            begun = time.monotonic()
            receipts = transforms.receipts(arrived).toArrow()
            if not receipts.num_rows:
                return None
            taken, news = self._decide(receipts, arrived, judge.version)
            taken.seconds["read"] = time.monotonic() - begun
            self._write(news, taken)
        finally:
            arrived.unpersist()
        return taken

    def _decide(
        self, receipts: pa.Table, arrived: DataFrame, model_version: str | None
    ) -> tuple[Taken, DataFrame]:
        order = [(name, "ascending") for name in ("append_time", "partition", "offset")]
        receipts = receipts.sort_by(order)
        self._memory.reach(pc.min(receipts["append_time"]).as_py())
        transactions = receipts.filter(pc.is_valid(receipts["key"]))
        rejects = receipts.filter(pc.is_valid(receipts["kind"]))
        keys = as_keys(transactions["key"])
        repeated = pa.array(self._memory.known.contains(keys) | ~firsts(keys))
        written = pa.array(self._memory.is_written(rejects))
        taken = Taken(
            new=transactions.filter(pc.invert(repeated)),
            rejects=rejects.filter(pc.invert(written)),
            blocks=receipts.filter(pc.is_valid(receipts["block_hash"])),
            repeats=pc.sum(repeated).as_py() or 0,
            model_version=model_version,
            newest=pc.max(receipts["append_time"]).as_py(),
        )
        left = pa.concat_tables([transactions.filter(repeated), rejects.filter(written)])
        if left.num_rows:
            names = left.select(["topic", "partition", "offset"])
            arrived = transforms.without(arrived, arrived.sparkSession.createDataFrame(names))
        return taken, arrived

    def _write(self, arrived: DataFrame, taken: Taken) -> None:
        new, rejects = taken.new.num_rows, taken.rejects.num_rows
        if rejects:
            self._append("quarantine", transforms.rejected_rows(arrived), rejects, taken)
        if new:
            self._append("raw_transactions", transforms.raw_rows(arrived), new, taken)
            self._memory.known.add(as_keys(taken.new["key"]), hours(taken.new["append_time"]))
        if new and taken.scored:
            rows = transforms.scored_rows(arrived, taken.scored_at)
            self._append("scored_transactions", rows, new, taken)
        if taken.blocks.num_rows:
            taken.confirmed = self._confirmations.write(arrived, taken.blocks)

    def _append(self, table: str, rows: DataFrame, count: int, taken: Taken) -> None:
        begun = time.monotonic()
        self._sinks.append(table, rows, count)
        taken.seconds[table] = time.monotonic() - begun
