"""One micro-batch, from Kafka records to committed rows.

The workers parse and validate; the driver decides by key which records are new, and what the going
fee rate of their minutes was; the workers score. Each table gets one commit. The order of the
commits makes a crash between any two of them harmless: what a restart reads again is recognised by
its key, and a row that is in `raw_transactions` but not in `scored_transactions` shows in the row
counts of both tables. So no batch number, checkpoint or Spark state has to agree with a table.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from data_processing import transforms
from data_processing.confirmations import Confirmations
from data_processing.going_rates import GoingRates
from data_processing.judging import scored_rows
from data_processing.lake_tables import LakeTables, spark_schema
from data_processing.last_spenders import LastSpenders, Replacement, replaced_fees
from data_processing.record_parsing import PARSED_RECORDS
from data_processing.seen_transactions import SeenTransactions
from data_processing.watch_matching import WatchMatching
from data_processing.worker_scoring import (
    ChampionBroadcast,
    Surroundings,
    WorkerChampion,
    parse_records,
)

_NO_VERDICTS = pa.table(
    {
        "anomaly_score": pa.array([], pa.float64()),
        "is_anomaly": pa.array([], pa.bool_()),
        "flagged_by": pa.array([], pa.string()),
    }
)


@dataclass
class MicroBatch:
    """What a micro-batch brought: receipts of the new transactions, of new rejects and of blocks.

    A receipt has the columns of `transforms.receipts`. `newest` is when Kafka appended the last
    record. `seconds` has the time of each stage: `read` (parse and decide), `score`, and the write
    of each table, of `market` with its computation. `confirmed` counts the rows written to
    `confirmations`. `verdicts` has `anomaly_score`, `is_anomaly` and `flagged_by` of the rows
    written to `scored_transactions`: without a champion only those that a rule flags.
    `replacements` has a row of the table of that name for each transaction that replaces another.
    `watched` counts the rows written to the table of that name.
    """

    new: pa.Table
    rejects: pa.Table
    blocks: pa.Table
    repeats: int
    model_version: str | None
    newest: datetime
    confirmed: int = 0
    replacements: list[Replacement] = field(default_factory=list)
    watched: int = 0
    verdicts: pa.Table = field(default_factory=lambda: _NO_VERDICTS)
    seconds: dict[str, float] = field(default_factory=dict)
    scored_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def scored(self) -> bool:
        """Whether there was a champion to score the transactions."""
        return self.model_version is not None

    @property
    def flagged(self) -> int:
        """The number of new transactions that are flagged."""
        return int(pc.sum(self.verdicts["is_anomaly"]).as_py() or 0)


class MicroBatchWriter:
    """Writes micro-batches to the tables, each record once."""

    def __init__(
        self,
        tables: LakeTables,
        seen: SeenTransactions,
        champion: ChampionBroadcast,
        spenders: LastSpenders,
        watch: WatchMatching,
    ) -> None:
        self._tables, self._seen, self._champion = tables, seen, champion
        self._spenders, self._watch = spenders, watch
        self._confirmations = Confirmations(tables)
        self.rates = GoingRates(tables)

    def write(self, frame: DataFrame) -> MicroBatch | None:
        """Write one micro-batch of Kafka records; return when every table is committed.

        Returns None for a micro-batch without records, which Spark makes of empty topics.
        """
        champion = self._champion.current()

        # 1. Parse and validate in the workers. Each write below reads the result.
        records = frame.select("topic", "partition", "offset", "timestamp", "value")
        parsed = records.mapInArrow(parse_records, spark_schema(PARSED_RECORDS))
        parsed.persist()
        try:
            # 2. Collect the receipts on the driver, and decide by key which records are new.
            started = time.monotonic()
            receipts = transforms.receipts(parsed).toArrow()
            if not receipts.num_rows:
                return None
            batch, fresh = self._without_repeats(receipts, parsed, champion.version)
            new, rejects = batch.new.num_rows, batch.rejects.num_rows
            batch.seconds["read"] = time.monotonic() - started

            # 3. Rejects first: read again, they are recognised by topic, partition and offset.
            if rejects:
                self._append("quarantine", transforms.rejected_rows(fresh), rejects, batch)
                self._seen.add_rejects(batch.rejects)

            # 4. Matches of the watch list: read again, they are recognised by their hash.
            if new:
                batch.replacements = self._spenders.add(batch.new)
                self._write_watched(batch)

            # 5. Transactions. From this commit on, their hashes are repeats.
            if new:
                self._append("raw_transactions", transforms.raw_rows(fresh), new, batch)
                self._seen.add(batch.new)

            # 6. Scores. Where this commit is missing, the backlog scores the rows later.
            if new:
                self._score(fresh, champion, batch)

            # 7. Blocks: they are recognised by their height and hash.
            if batch.blocks.num_rows:
                batch.confirmed = self._confirmations.write(fresh, batch.blocks)
        finally:
            parsed.unpersist()
        return batch

    def _without_repeats(
        self, receipts: pa.Table, parsed: DataFrame, model_version: str | None
    ) -> tuple[MicroBatch, DataFrame]:
        """Describe the micro-batch, and leave out of `parsed` what the tables have already."""
        order = [(name, "ascending") for name in ("append_time", "partition", "offset")]
        receipts = receipts.sort_by(order)
        transactions = receipts.filter(pc.is_valid(receipts["key"]))
        rejects = receipts.filter(pc.is_valid(receipts["kind"]))
        repeated = pa.array(self._seen.are_repeats(transactions))
        written = pa.array(self._seen.are_quarantined(rejects))
        batch = MicroBatch(
            new=transactions.filter(pc.invert(repeated)),
            rejects=rejects.filter(pc.invert(written)),
            blocks=receipts.filter(pc.is_valid(receipts["block_hash"])),
            repeats=pc.sum(repeated).as_py() or 0,
            model_version=model_version,
            newest=pc.max(receipts["append_time"]).as_py(),
        )
        repeats = pa.concat_tables([transactions.filter(repeated), rejects.filter(written)])
        if not repeats.num_rows:
            return batch, parsed
        offsets = repeats.select(["topic", "partition", "offset"])
        return batch, transforms.without(parsed, parsed.sparkSession.createDataFrame(offsets))

    def _write_watched(self, batch: MicroBatch) -> None:
        started = time.monotonic()
        batch.watched = self._watch.write(batch.new, batch.replacements, batch.scored_at)
        batch.seconds["watched"] = time.monotonic() - started

    def _score(self, fresh: DataFrame, champion: WorkerChampion, batch: MicroBatch) -> None:
        """Judge the new transactions beside the markets of their minutes, and write the verdicts.

        Without a champion only what a rule flags is written; the backlog scores the others.
        """
        started = time.monotonic()
        rates = self.rates.add(batch.new)
        batch.seconds["market"] = time.monotonic() - started
        started = time.monotonic()
        beside = Surroundings(rates, replaced_fees(batch.replacements), {})
        unscored = transforms.unscored_rows(fresh)
        with scored_rows(self._tables, unscored, champion, beside, batch.scored_at) as rows:
            rows = rows if batch.scored else rows.where("is_anomaly")
            batch.verdicts = rows.select(*_NO_VERDICTS.schema.names).toArrow()
            batch.seconds["score"] = time.monotonic() - started
            if batch.verdicts.num_rows:
                self._append("scored_transactions", rows, batch.verdicts.num_rows, batch)

    def _append(self, table: str, rows: DataFrame, count: int, batch: MicroBatch) -> None:
        started = time.monotonic()
        self._tables.append(table, rows, count)
        batch.seconds[table] = time.monotonic() - started
