"""Scores transactions: in the workers or here, and again where their packages matter.

A transaction is judged by its own numbers first. The flagged ones, which are few, are looked up in
the lake: a fee that pays for an unconfirmed parent too, or that a child pays, is judged by the
effective fee rate of the package.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.detector.champion import Champion
from core.tables import SCORED_TRANSACTIONS
from data_processing.lake_tables import LakeTables, spark_schema
from data_processing.relatives import FLAGGED, package_fee_rates
from data_processing.worker_scoring import Surroundings, WorkerChampion, score_rows


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
        score = score_rows(champion, beside, scored_at)
        return rows.mapInArrow(score, spark_schema(SCORED_TRANSACTIONS))

    with _kept(judge(unscored, beside)) as by_themselves:
        flagged = by_themselves.where("is_anomaly").selectExpr(*FLAGGED)
        packages = package_fee_rates(tables, flagged.toArrow())
        if not packages:
            yield by_themselves
            return
        chosen = F.col("hash").isin(list(packages))
        again = judge(unscored.where(chosen), beside._replace(packages=packages))
        with _kept(again) as in_packages:
            yield by_themselves.where(~chosen).unionByName(in_packages)


def scored_here(
    tables: LakeTables,
    unscored: pa.Table,
    champion: Champion | None,
    beside: Surroundings,
    scored_at: datetime,
) -> pa.Table:
    """The same of few rows, without the workers."""

    def judge(rows: pa.Table, beside: Surroundings) -> pa.Table:
        score = score_rows(lambda: champion, beside, scored_at)
        return pa.Table.from_batches(score(rows.to_batches()), SCORED_TRANSACTIONS)

    by_themselves = judge(unscored, beside)
    flagged = by_themselves.filter(by_themselves["is_anomaly"]).select(FLAGGED)
    packages = package_fee_rates(tables, flagged)
    if not packages:
        return by_themselves
    names = pa.array(list(packages))
    again = unscored.filter(pc.is_in(unscored["hash"], names))
    others = by_themselves.filter(pc.invert(pc.is_in(by_themselves["hash"], names)))
    return pa.concat_tables([others, judge(again, beside._replace(packages=packages))])


@contextmanager
def _kept(frame: DataFrame) -> Iterator[DataFrame]:
    frame.persist()
    try:
        yield frame
    finally:
        frame.unpersist()
