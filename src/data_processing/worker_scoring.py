"""Parses records and scores transactions in Spark's Python workers.

The champion is broadcast to them.
The driver chooses the champion once for each job, so that no micro-batch has two model versions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import Broadcast, SparkContext

from core.detector.champion import Champion, RulesOnly
from core.tables import SCORED_TRANSACTIONS, TIMESTAMP, VERDICT
from core.transaction import MARKET_FEE_RATE, PACKAGE_FEE_RATE, REPLACED_FEE
from data_processing.going_rates import rates_at
from data_processing.record_parsing import parse_batch

Judge = Champion | RulesOnly


class Surroundings(NamedTuple):
    """What transactions are judged beside.

    `rates` has the going fee rates by minute, in microseconds, ascending; `replaced_fees` the fee
    of what a transaction replaces, and `packages` its effective fee rate, both by its hash.
    """

    rates: dict[int, float]
    replaced_fees: dict[str, int]
    packages: dict[str, float]


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

    @property
    def here(self) -> Champion | None:
        """The champion of the last `current`, for this process."""
        return self._sent

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


def parse_records(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Turn Kafka records into `PARSED_RECORDS`; the function for `mapInArrow`."""
    for batch in batches:
        if batch.num_rows:
            yield from parse_batch(batch).to_batches()


def score_rows(judge: Callable[[], Judge | None], beside: Surroundings, scored_at: datetime) -> Any:
    """The function for `mapInArrow` that makes `SCORED_TRANSACTIONS` of columns of `UNSCORED`.

    `judge` is called in the worker, so that what it returns can be broadcast; None stands for the
    rules alone.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        model = judge() or RulesOnly()
        for batch in batches:
            if batch.num_rows:
                yield _with_verdicts(batch, model, beside, scored_at)

    return run


def _with_verdicts(
    rows: pa.RecordBatch, judge: Judge, beside: Surroundings, scored_at: datetime
) -> pa.RecordBatch:
    known = {MARKET_FEE_RATE: pa.array(rates_at(rows["append_time"], beside.rates))}
    for name, by_hash in (PACKAGE_FEE_RATE, beside.packages), (REPLACED_FEE, beside.replaced_fees):
        if by_hash:  # few micro-batches have any
            found = map(by_hash.get, rows["hash"].to_pylist())
            known[name] = pa.array(list(found), VERDICT.field(name).type)
    names = [*rows.schema.names, *known]
    verdicts = judge.verdicts(pa.record_batch([*rows.columns, *known.values()], names=names))
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    columns |= {name: verdicts[name].combine_chunks() for name in VERDICT.names}
    columns["fee_rate"] = pc.divide(
        pc.multiply(rows["fee"].cast(pa.float64()), 4.0), rows["weight"]
    )
    columns["scored_at"] = pa.repeat(pa.scalar(scored_at, TIMESTAMP), rows.num_rows)
    return pa.record_batch(
        [columns[name] for name in SCORED_TRANSACTIONS.names], schema=SCORED_TRANSACTIONS
    )
