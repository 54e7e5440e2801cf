"""The records of one micro-batch, parsed and scored by the workers or, where they are few, here.

A Spark job costs some ten milliseconds of processor time before it does anything, and a task in a
worker the way to it and back. Few records are therefore read in one job, and then parsed, compared
and scored by the driver, with the workers' own functions. Spark writes the rows in both cases.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from core.tables import UNSCORED
from data_processing import transforms
from data_processing.judging import scored_here, scored_rows
from data_processing.lake_tables import LakeTables, spark_schema
from data_processing.record_parsing import PARSED_RECORDS
from data_processing.transforms import RECEIPT_COLUMNS
from data_processing.worker_scoring import ChampionBroadcast, Surroundings, parse_records

FEW_RECORDS = 2_000
"""Up to so many records are parsed and scored by the driver, which takes it a tenth of a second."""

_WHERE = ["topic", "partition", "offset"]
_VERDICT = ("anomaly_score", "is_anomaly", "flagged_by")

NO_VERDICTS = pa.table(
    [pa.array([], kind) for kind in (pa.float64(), pa.bool_(), pa.string())], names=_VERDICT
)
"""Of the rows that are written to `scored_transactions`: none."""


class ParsedRecords(Protocol):
    """The records with the columns of `PARSED_RECORDS`."""

    model_version: str | None
    """Of the champion that scores; None while there is none."""

    @property
    def frame(self) -> DataFrame:
        """The records, without those that are left out."""
        ...

    def receipts(self) -> pa.Table:
        """The columns `RECEIPT_COLUMNS` of all."""
        ...

    def leave_out(self, repeats: pa.Table) -> None:
        """Leave out of `frame` the records with these topics, partitions and offsets."""

    @contextmanager
    def scored(
        self, tables: LakeTables, beside: Surroundings, scored_at: datetime
    ) -> Iterator[tuple[pa.Table, DataFrame | None]]:
        """Score the transactions of `frame`; give the columns of `NO_VERDICTS`, and the rows.

        The rows are those of `scored_transactions`, without a champion only those that a rule
        flags; they may be None where there are none.
        """
        ...


class RecordsInWorkers:
    """Many records."""

    def __init__(self, parsed: DataFrame, champion: ChampionBroadcast) -> None:
        self.frame, self._champion = parsed, champion.current()
        self.model_version = self._champion.version

    def receipts(self) -> pa.Table:
        """The columns `RECEIPT_COLUMNS` of all, collected from the workers."""
        return self.frame.selectExpr(*RECEIPT_COLUMNS).toArrow()

    def leave_out(self, repeats: pa.Table) -> None:
        """Leave records out of `frame`."""
        offsets = self.frame.sparkSession.createDataFrame(repeats.select(_WHERE))
        self.frame = transforms.without(self.frame, offsets)

    @contextmanager
    def scored(
        self, tables: LakeTables, beside: Surroundings, scored_at: datetime
    ) -> Iterator[tuple[pa.Table, DataFrame | None]]:
        """Score the transactions of `frame` in the workers."""
        unscored = transforms.unscored_rows(self.frame)
        with scored_rows(tables, unscored, self._champion, beside, scored_at) as rows:
            rows = rows if self.model_version else rows.where("is_anomaly")
            yield rows.selectExpr(*_VERDICT).toArrow(), rows


class RecordsHere:
    """Few records, in this process."""

    def __init__(self, records: DataFrame, champion: ChampionBroadcast) -> None:
        self.model_version = champion.current().version
        self._champion, self._spark = champion.here, records.sparkSession
        batches = records.toArrow().combine_chunks().to_batches()
        self._rows = pa.Table.from_batches(parse_records(iter(batches)), PARSED_RECORDS)

    @property
    def frame(self) -> DataFrame:
        """The records as rows of Spark."""
        return self._spark.createDataFrame(self._rows, spark_schema(PARSED_RECORDS))

    def receipts(self) -> pa.Table:
        """The columns `RECEIPT_COLUMNS` of all."""
        return self._rows.select(RECEIPT_COLUMNS)

    def leave_out(self, repeats: pa.Table) -> None:
        """Leave records out of `frame`."""
        left_out = {tuple(row.values()) for row in repeats.select(_WHERE).to_pylist()}
        rows = self._rows.select(_WHERE).to_pylist()
        self._rows = self._rows.filter(pa.array([tuple(r.values()) not in left_out for r in rows]))

    @contextmanager
    def scored(
        self, tables: LakeTables, beside: Surroundings, scored_at: datetime
    ) -> Iterator[tuple[pa.Table, DataFrame | None]]:
        """Score the transactions of `frame`."""
        unscored = self._rows.filter(pc.is_valid(self._rows["key"])).select(UNSCORED.names)
        rows = scored_here(tables, unscored.combine_chunks(), self._champion, beside, scored_at)
        rows = rows if self.model_version else rows.filter(rows["is_anomaly"])
        schema = spark_schema(rows.schema)
        frame = self._spark.createDataFrame(rows, schema) if rows.num_rows else None
        yield rows.select(_VERDICT), frame


@contextmanager
def parsed_records(
    frame: DataFrame, few: bool, champion: ChampionBroadcast
) -> Iterator[ParsedRecords]:
    """Parse and validate the Kafka records of a frame; `few` says that they are."""
    records = frame.selectExpr("topic", "partition", "offset", "timestamp", "value")
    if few:
        yield RecordsHere(records, champion)
        return
    parsed = records.mapInArrow(parse_records, spark_schema(PARSED_RECORDS))
    parsed.persist()  # each write reads it
    try:
        yield RecordsInWorkers(parsed, champion)
    finally:
        parsed.unpersist()
