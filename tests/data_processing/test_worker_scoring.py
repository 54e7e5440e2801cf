import random
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from tests.support.micro_batches import FakeKafka, record_batch
from tests.support.stream_samples import NOON, a_transaction, as_json

from core.detector.champion import Champion
from core.tables import SCORED_TRANSACTIONS, UNSCORED
from data_processing.lake_tables import spark_schema
from data_processing.record_parsing import PARSED_RECORDS
from data_processing.transforms import unscored_rows
from data_processing.worker_scoring import (
    ChampionBroadcast,
    Surroundings,
    parse_records,
    score_rows,
)

MINUTE = NOON * 1_000_000
AT = datetime.fromtimestamp(NOON, UTC)


def unscored(*transactions: dict[str, Any]) -> pa.RecordBatch:
    """Transactions that were appended at noon, as a worker gets them to score."""
    records = parse_records(iter([record_batch(*map(as_json, transactions))]))
    (batch,) = pa.Table.from_batches(records).select(UNSCORED.names).to_batches()
    return batch


def scored(judge: Champion | None, rates: dict[int, float], **changes: int) -> dict[str, Any]:
    batch = unscored(a_transaction(random.Random(0), **changes))
    score = score_rows(lambda: judge, Surroundings(rates, {}, {}), AT)
    (row,) = pa.Table.from_batches(score(iter([batch]))).to_pylist()
    return dict(row)


def test_each_record_is_parsed_to_the_same_columns() -> None:
    good = as_json(a_transaction(random.Random(0)))
    table = pa.Table.from_batches(parse_records(iter([record_batch(b"bad", good, None)])))
    assert table.schema == PARSED_RECORDS
    assert [key is not None for key in table["key"].to_pylist()] == [False, True, False]


def test_a_row_is_judged_beside_the_market_of_its_minute(champion: Champion) -> None:
    rates = {MINUTE - 60_000_000: 5.0, MINUTE: 25.0, MINUTE + 60_000_000: 99.0}
    row = scored(champion, rates)
    assert (row["model_version"], row["market_fee_rate"]) == ("1", 25.0)
    assert scored(champion, {MINUTE - 60_000_000: 5.0})["market_fee_rate"] == 5.0
    assert list(row) == SCORED_TRANSACTIONS.names


def test_without_a_champion_the_rules_judge() -> None:
    row = scored(None, {MINUTE: 25.0})
    assert (row["model_version"], row["is_anomaly"], row["flagged_by"]) == ("rules", False, None)
    fee, output = 900_000_000, 100_000
    wild = scored(None, {MINUTE: 25.0}, fee=fee, output_value=output, input_value=fee + output)
    assert (wild["is_anomaly"], wild["flagged_by"]) == (True, "rule")


@pytest.mark.stack
def test_a_champion_that_is_replaced_leaves_no_file_behind(
    spark: SparkSession, champion: Champion
) -> None:
    current = [champion]
    broadcast = ChampionBroadcast(spark.sparkContext, lambda: current[0])
    sizes = []
    for _ in range(4):
        current[0] = copy(champion)
        records = FakeKafka(spark).records(a_transaction(random.Random(0)))
        score = score_rows(broadcast.current(), Surroundings({MINUTE: 25.0}, {}, {}), AT)
        parsed = records.mapInArrow(parse_records, spark_schema(PARSED_RECORDS))
        verdicts = unscored_rows(parsed).mapInArrow(score, spark_schema(SCORED_TRANSACTIONS))
        assert verdicts.toArrow()["model_version"].to_pylist() == [champion.version]
        folder = Path(spark.sparkContext._temp_dir).parent
        sizes.append(sum(file.stat().st_size > 50_000 for file in folder.rglob("*")))
    assert len(set(sizes)) == 1, "one file, that of the champion in use"


def test_asking_for_a_champion_does_not_touch_the_broadcast_that_a_job_may_use(
    champion: Champion,
) -> None:
    current: list[Champion | None] = [None]
    broadcast = ChampionBroadcast(None, lambda: current[0])  # type: ignore[arg-type]
    assert not broadcast.available
    current[0] = champion
    assert broadcast.available, "without a Spark context, a broadcast would fail"
