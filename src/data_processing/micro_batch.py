"""One micro-batch, from Kafka records to committed rows.

The records are parsed and validated; the driver decides by key which are new, and what the going
fee rate of their minutes was; the new ones are scored. Workers parse and score where there are many
records (`parsed_records.py`). Each table gets one commit. The order of the
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
from data_processing.lake_tables import LakeTables
from data_processing.last_spenders import LastSpenders, Replacement, replaced_fees
from data_processing.movements import SIDES, movement_rows
from data_processing.parsed_records import NO_VERDICTS, ParsedRecords, parsed_records
from data_processing.seen_transactions import SeenTransactions
from data_processing.watch_matching import WatchMatching
from data_processing.worker_scoring import ChampionBroadcast, Surroundings


@dataclass
class MicroBatch:
    """What a micro-batch brought: receipts of the new transactions, of new rejects and of blocks.

    `records` counts what was read, `repeats` the transactions that were stored already.
    A receipt has the columns `RECEIPT_COLUMNS`; the lists of addresses are let go of when
    their rows are written. `seconds` has the time of each stage: `read` (parse and decide),
    `score`, and the write of each table, of `market` and `movements` with their computation.
    `confirmed` counts the rows written to `confirmations`. `verdicts` has `anomaly_score`,
    `is_anomaly` and `flagged_by` of the rows written to `scored_transactions`: without a champion
    only those that a rule flags. `replacements` has a row of the table of that name for each
    transaction that replaces another.
    `watched` counts the rows written to the table of that name.
    """

    new: pa.Table
    rejects: pa.Table
    blocks: pa.Table
    records: int
    repeats: int
    model_version: str | None
    confirmed: int = 0
    replacements: list[Replacement] = field(default_factory=list)
    watched: int = 0
    verdicts: pa.Table = field(default_factory=lambda: NO_VERDICTS)
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

    def write(self, frame: DataFrame, few: bool = False) -> MicroBatch | None:
        """Write one micro-batch of Kafka records; return when every table is committed.

        `few` says that the records are few. Returns None for a micro-batch without records, which
        Spark makes of empty topics.
        """
        started = time.monotonic()
        with parsed_records(frame, few, self._champion) as parsed:
            receipts = parsed.receipts()
            if not receipts.num_rows:
                return None
            batch = self._without_repeats(receipts, parsed)
            del receipts  # its lists are large, and `batch` has those of new transactions
            batch.seconds["read"] = time.monotonic() - started
            self._write_tables(parsed, batch)
        return batch

    def _write_tables(self, parsed: ParsedRecords, batch: MicroBatch) -> None:
        new, rejects = batch.new.num_rows, batch.rejects.num_rows

        # 1. Rejects first: read again, they are recognised by topic, partition and offset.
        if rejects:
            self._append("quarantine", transforms.rejected_rows(parsed.frame), rejects, batch)
            self._seen.add_rejects(batch.rejects)

        # 2. Matches of the watch list: read again, they are recognised by their hash.
        if new:
            batch.replacements = self._spenders.add(batch.new)
            self._write_watched(batch)

        # 3. Transactions. From the second commit on, their hashes are repeats: a crash between
        # the two leaves movements twice, and none is ever missing.
        if new:
            self._index(batch)
            self._append("raw_transactions", transforms.raw_rows(parsed.frame), new, batch)
            self._seen.add(batch.new)

        # 4. Scores. Where this commit is missing, the backlog scores the rows later.
        if new:
            self._score(parsed, batch)

        # 5. Blocks: they are recognised by their height and hash.
        if batch.blocks.num_rows:
            batch.confirmed = self._confirmations.write(parsed.frame, batch.blocks)

    def _without_repeats(self, receipts: pa.Table, parsed: ParsedRecords) -> MicroBatch:
        """Describe the micro-batch, and leave out of `parsed` what the tables have already."""
        order = [(name, "ascending") for name in ("append_time", "partition", "offset")]
        receipts = receipts.sort_by(order)
        transactions = receipts.filter(pc.is_valid(receipts["key"]))
        rejects = receipts.filter(pc.is_valid(receipts["kind"]))
        repeated = pa.array(self._seen.are_repeats(transactions))
        written = pa.array(self._seen.are_quarantined(rejects))
        repeats = pa.concat_tables([transactions.filter(repeated), rejects.filter(written)])
        if repeats.num_rows:
            parsed.leave_out(repeats)
        return MicroBatch(
            new=transactions.filter(pc.invert(repeated)),
            rejects=rejects.filter(pc.invert(written)),
            blocks=receipts.filter(pc.is_valid(receipts["block_hash"])),
            records=receipts.num_rows,
            repeats=pc.sum(repeated).as_py() or 0,
            model_version=parsed.model_version,
        )

    def _write_watched(self, batch: MicroBatch) -> None:
        started = time.monotonic()
        batch.watched = self._watch.write(batch.new, batch.replacements, batch.scored_at)
        batch.seconds["watched"] = time.monotonic() - started

    def _score(self, parsed: ParsedRecords, batch: MicroBatch) -> None:
        """Judge the new transactions beside the markets of their minutes, and write the verdicts.

        Without a champion only what a rule flags is written; the backlog scores the others.
        """
        started = time.monotonic()
        rates = self.rates.add(batch.new)
        batch.seconds["market"] = time.monotonic() - started
        started = time.monotonic()
        beside = Surroundings(rates, replaced_fees(batch.replacements), {})
        with parsed.scored(self._tables, beside, batch.scored_at) as (batch.verdicts, rows):
            batch.seconds["score"] = time.monotonic() - started
            if rows is not None and batch.verdicts.num_rows:
                self._append("scored_transactions", rows, batch.verdicts.num_rows, batch)

    def _index(self, batch: MicroBatch) -> None:
        """Write the movements of the new transactions, and let go of the lists they come from."""
        started = time.monotonic()
        if (rows := movement_rows(batch.new)).num_rows:
            self._tables.append_arrow("movements", rows)
        batch.new = batch.new.drop_columns(SIDES)
        batch.seconds["movements"] = time.monotonic() - started

    def _append(self, table: str, rows: DataFrame, count: int, batch: MicroBatch) -> None:
        started = time.monotonic()
        self._tables.append(table, rows, count)
        batch.seconds[table] = time.monotonic() - started
