"""Scores transactions in Spark's Python workers, with the champion broadcast to them.

The driver chooses the champion once for each job, so that no micro-batch has two model versions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark import Broadcast, SparkContext

from core.detector.champion import Champion
from core.tables import RAW_TRANSACTIONS, VERDICT
from data_processing.record_parsing import PARSED_RECORDS, parse_batch

SCORED_ROWS = pa.schema([*RAW_TRANSACTIONS, *VERDICT])
"""A row of `raw_transactions` with its verdict."""


@dataclass(frozen=True)
class WorkerChampion:
    """The champion as a worker gets it: broadcast once, not sent with every task."""

    broadcast: "Broadcast[Champion] | None" = None
    version: str | None = None

    def __call__(self) -> Champion | None:
        """The champion, or None while there is none."""
        return self.broadcast.value if self.broadcast else None


class ChampionBroadcast:
    """Broadcasts the champion to the workers, again whenever it changes.

    A new champion ends the broadcast of the last one: no job may be using that any more.
    """

    def __init__(self, context: SparkContext, champion: Callable[[], Champion | None]) -> None:
        self._context, self._champion = context, champion
        self._current = WorkerChampion()
        self._sent: Champion | None = None

    @property
    def available(self) -> bool:
        """Whether there is a champion; may be asked while a job runs."""
        return self._champion() is not None

    def current(self) -> WorkerChampion:
        """The champion as it is now, for the whole of one job."""
        champion = self._champion()
        # Compared by identity: two registries can have different champions of the same version.
        if champion is not None and champion is not self._sent:
            if self._current.broadcast is not None:
                # No job uses it any more: jobs run one after another. Its file is deleted too.
                self._current.broadcast.destroy()
            self._sent = champion
            self._current = WorkerChampion(self._context.broadcast(champion), champion.version)
        return self._current


def parse_and_score(champion: Callable[[], Champion | None]) -> Any:
    """The function for `mapInArrow` that turns Kafka records into scored `PARSED_RECORDS`.

    `champion` is called in the worker, so that what it returns can be broadcast.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        model = champion()
        for batch in batches:
            if batch.num_rows:
                records = parse_batch(batch)
                yield from (_with_verdicts(records, model) if model else records).to_batches()

    return run


def _with_verdicts(records: pa.Table, champion: Champion) -> pa.Table:
    """Fill in the verdict columns of the rows that are transactions."""
    is_transaction = records["key"].is_valid()
    transactions = records.filter(is_transaction)
    verdicts = champion.verdicts(transactions)
    for name in VERDICT.names:
        at = transactions.schema.get_field_index(name)
        transactions = transactions.set_column(at, PARSED_RECORDS.field(name), verdicts[name])
    others = records.filter(pa.compute.invert(is_transaction))
    return pa.concat_tables([transactions, others])


def score_rows(champion: Callable[[], Champion | None]) -> Any:
    """The function for `mapInArrow` that adds verdicts to rows of `raw_transactions`."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        model = champion()
        assert model is not None, "only called with a champion"
        for batch in batches:
            if batch.num_rows:
                verdicts = model.verdicts(batch)
                columns = [*batch.columns, *(c.combine_chunks() for c in verdicts.columns)]
                yield pa.record_batch(columns, names=[*batch.schema.names, *VERDICT.names])

    return run
