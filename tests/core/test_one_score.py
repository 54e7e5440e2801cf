"""A transaction has one score: scikit-learn's, the stream's and the API's are equal to the bit."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from api.schemas import SubmittedTransaction
from api.scoring import predict, predict_batch
from core.detector.champion import Champion
from core.transaction import NUMERIC_FIELDS
from data_processing.worker_scoring import score_rows

Integers = NDArray[np.int64]


def streamed(champion: Champion, rows: Integers) -> list[dict[str, Any]]:
    """The verdicts of the stream, in three batches of different lengths."""
    table = pa.table({name: rows[:, i] for i, name in enumerate(NUMERIC_FIELDS)})
    batches = [table[a:b].combine_chunks().to_batches()[0] for a, b in ((0, 1), (1, 18), (18, 500))]
    scored = pa.Table.from_batches(list(score_rows(lambda: champion)(iter(batches))))
    found: list[dict[str, Any]] = scored.to_pylist()
    return found


def asked(rows: Integers) -> list[SubmittedTransaction]:
    fields = [dict(zip(NUMERIC_FIELDS, map(int, row), strict=True)) for row in rows]
    return [SubmittedTransaction.model_validate({"hash": "a1", **each}) for each in fields]


def test_scikit_learn_the_stream_and_the_api_agree_to_the_bit(
    champion: Champion, pipeline: Pipeline, traffic: Integers
) -> None:
    rows = traffic[50_000:50_500]
    expected = (-pipeline.score_samples(rows)).tolist()
    stream = [row["anomaly_score"] for row in streamed(champion, rows)]
    single = [predict(champion, each)["anomaly_score"] for each in asked(rows)]
    batch = [found["anomaly_score"] for found in predict_batch(champion, asked(rows), "none")]
    assert stream == expected
    assert json.loads(json.dumps(single)) == expected
    assert json.loads(json.dumps(batch)) == expected


def test_the_stream_and_the_api_give_the_same_reasons(
    champion: Champion, traffic: Integers
) -> None:
    rows = traffic[50_000:50_500].copy()
    rows[::25, NUMERIC_FIELDS.index("fee")] *= 10_000
    stream = streamed(champion, rows)
    api = [predict(champion, each) for each in asked(rows)]
    told = [[reason["feature"] for reason in found["reasons"]] for found in api]
    assert [[reason["feature"] for reason in row["reasons"]] for row in stream] == told
    assert [row["is_anomaly"] for row in stream] == [found["is_anomaly"] for found in api]
