import random

import pyarrow as pa
from tests.support.micro_batches import record_batch
from tests.support.stream_samples import a_transaction, as_json

from core.detector.champion import Champion
from data_processing.record_parsing import PARSED_RECORDS
from data_processing.worker_scoring import parse_and_score


def test_only_transactions_are_scored(champion: Champion) -> None:
    good = as_json(a_transaction(random.Random(0)))
    batches = parse_and_score(lambda: champion)(iter([record_batch(b"bad", good, None)]))
    rows = pa.Table.from_batches(batches).to_pylist()
    assert {row["offset"]: row["model_version"] for row in rows} == {0: None, 1: "1", 2: None}


def test_without_a_champion_the_columns_are_the_same() -> None:
    batches = parse_and_score(lambda: None)(
        iter([record_batch(as_json(a_transaction(random.Random(0))))])
    )
    table = pa.Table.from_batches(batches)
    assert table.schema == PARSED_RECORDS
    assert table["anomaly_score"].null_count == 1
