"""Micro-batches without Kafka: frames as Spark's Kafka source makes them, and their writer."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T  # noqa: N812
from tests.support.stream_samples import NOON, as_json

from core.casework import CaseworkStore
from core.detector.champion import Champion
from core.topics import TRANSACTIONS
from core.watch_list import WatchListInForce
from data_processing.lake_tables import LakeTables
from data_processing.last_spenders import LastSpenders
from data_processing.micro_batch import MicroBatch, MicroBatchWriter
from data_processing.seen_transactions import SeenTransactions
from data_processing.watch_matching import WatchMatching
from data_processing.worker_scoring import ChampionBroadcast

_COLUMNS = {
    "topic": T.StringType(),
    "partition": T.IntegerType(),
    "offset": T.LongType(),
    "timestamp": T.TimestampType(),
    "value": T.BinaryType(),
}
_KAFKA = T.StructType([T.StructField(name, kind) for name, kind in _COLUMNS.items()])


def record_batch(
    *values: bytes | None, topic: str = TRANSACTIONS, appended: datetime | None = None
) -> pa.RecordBatch:
    """Records as a worker gets them, all appended at one time, by default noon."""
    n, at = len(values), appended or datetime.fromtimestamp(NOON, UTC)
    return pa.record_batch(
        {
            "topic": [topic] * n,
            "partition": pa.array([0] * n, pa.int32()),
            "offset": pa.array(range(n), pa.int64()),
            "timestamp": pa.array([at] * n, pa.timestamp("us", "UTC")),
            "value": pa.array(values, pa.binary()),
        }
    )


class FakeKafka:
    """Makes frames with increasing offsets; `now` is the append time of the next."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark, self.offset = spark, 0
        self.now = datetime.fromtimestamp(NOON, UTC)

    def later(self, **kwargs: float) -> None:
        self.now += timedelta(**kwargs)

    def records(
        self, *values: bytes | dict[str, Any] | None, topic: str = TRANSACTIONS
    ) -> DataFrame:
        rows = []
        for value in values:
            data = as_json(value) if isinstance(value, dict) else value
            rows.append((topic, 0, self.offset, self.now, data))
            self.offset += 1
        return self.spark.createDataFrame(rows, _KAFKA)


class Writer:
    """A micro-batch writer that can be restarted on the same tables, as after a crash.

    `few` says that micro-batches are parsed and scored here, not in the workers.
    """

    def __init__(self, tables: LakeTables, few: bool = True) -> None:
        self.tables, self.few = tables, few
        self.champion: Champion | None = None
        self.restart()

    def restart(self) -> None:
        self.broadcast = ChampionBroadcast(self.tables.spark.sparkContext, lambda: self.champion)
        self.seen = SeenTransactions(self.tables, Path(self.tables.lake).parent / "known_keys")
        self.spenders = LastSpenders()
        folder = Path(self.tables.lake).parent / "casework"
        self.watch = WatchMatching(
            self.tables, WatchListInForce(CaseworkStore(str(folder), self.tables.origin))
        )
        self.writer = MicroBatchWriter(
            self.tables, self.seen, self.broadcast, self.spenders, self.watch
        )

    def write(self, records: DataFrame) -> MicroBatch:
        batch = self.writer.write(records, self.few)
        assert batch is not None
        return batch

    def hashes_in(self, table: str) -> list[str]:
        rows = self.tables.query(f'SELECT "hash" FROM {table}', table)
        return sorted(rows["hash"].to_pylist())
