"""Scores a frame of transactions: in the workers, and again where their packages matter.

A transaction is judged by its own numbers first. The flagged ones, which are few, are looked up in
the lake: a fee that pays for an unconfirmed parent too, or that a child pays, is judged by the
effective fee rate of the package.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_processing import transforms
from data_processing.lake_tables import LakeTables, spark_schema
from data_processing.relatives import FLAGGED, package_fee_rates
from data_processing.worker_scoring import SCORED_ROWS, Surroundings, WorkerChampion, score_rows


@contextmanager
def scored_rows(
    tables: LakeTables,
    unscored: DataFrame,
    champion: WorkerChampion,
    beside: Surroundings,
    scored_at: datetime,
) -> Iterator[DataFrame]:
    """Give the rows of `scored_transactions` for rows with the columns of `UNSCORED`.

    `raw_transactions` has them already. The result is kept until the end of the block, so that
    several jobs can read it.
    """

    def judge(rows: DataFrame, beside: Surroundings) -> DataFrame:
        verdicts = rows.mapInArrow(score_rows(champion, beside), spark_schema(SCORED_ROWS))
        return transforms.scored_rows(verdicts, scored_at)

    with _kept(judge(unscored, beside)) as by_themselves:
        flagged = by_themselves.where("is_anomaly").select(*FLAGGED)
        packages = package_fee_rates(tables, flagged.toArrow())
        if not packages:
            yield by_themselves
            return
        chosen = F.col("hash").isin(list(packages))
        again = judge(unscored.where(chosen), beside._replace(packages=packages))
        with _kept(again) as in_packages:
            yield by_themselves.where(~chosen).unionByName(in_packages)


@contextmanager
def _kept(frame: DataFrame) -> Iterator[DataFrame]:
    frame.persist()
    try:
        yield frame
    finally:
        frame.unpersist()
