"""A transaction has one score: scikit-learn's, the stream's and the API's are equal to the bit."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from api.going_rate import Beside
from api.schemas import Prediction, SubmittedTransaction
from api.scoring import predict, predict_batch
from core.detector.champion import Champion
from core.features import MARKET
from core.market import MINUTE
from core.tables import TIMESTAMP, UNSCORED
from core.transaction import NUMERIC_FIELDS
from data_processing.worker_scoring import Surroundings, score_rows

Floats = NDArray[np.float64]


def streamed(champion: Champion, rows: Floats) -> list[dict[str, Any]]:
    """The verdicts of the stream, in three batches of different lengths."""
    table = pa.table({name: rows[:, i].astype(np.int64) for i, name in enumerate(NUMERIC_FIELDS)})
    minutes = [MINUTE * i for i in range(len(rows))]  # a market of its own for each row
    table = table.append_column("append_time", pa.array(minutes).cast(TIMESTAMP))
    table = table.append_column("hash", pa.array(map(str, minutes)))
    for field in UNSCORED:
        if field.name not in table.schema.names:
            table = table.append_column(field.name, pa.nulls(len(rows), field.type))
    beside = Surroundings(dict(zip(minutes, rows[:, MARKET].tolist(), strict=True)), {}, {})
    batches = [table[a:b].combine_chunks().to_batches()[0] for a, b in ((0, 1), (1, 18), (18, 500))]
    score = score_rows(lambda: champion, beside, datetime.now(UTC))
    scored = pa.Table.from_batches(list(score(iter(batches))))
    found: list[dict[str, Any]] = scored.to_pylist()
    return found


def asked(rows: Floats) -> list[SubmittedTransaction]:
    fields = [dict(zip(NUMERIC_FIELDS, map(int, row), strict=False)) for row in rows]
    return [SubmittedTransaction.model_validate({"hash": "a1", **each}) for each in fields]


def markets(rows: Floats) -> list[Beside]:
    return [Beside(rate, None, "caller") for rate in rows[:, MARKET].tolist()]


def answers(champion: Champion, rows: Floats) -> list[Prediction]:
    """The API's answers, one request each."""
    pairs = zip(asked(rows), markets(rows), strict=True)
    return [predict(champion, each, market) for each, market in pairs]


def test_scikit_learn_the_stream_and_the_api_agree_to_the_bit(
    champion: Champion, pipeline: Pipeline, traffic: Floats
) -> None:
    rows = traffic[50_000:50_500]
    expected = (-pipeline.score_samples(rows)).tolist()
    stream = [row["anomaly_score"] for row in streamed(champion, rows)]
    single = [found["anomaly_score"] for found in answers(champion, rows)]
    many = predict_batch(champion, asked(rows), markets(rows), "none")
    batch = [found["anomaly_score"] for found in many]
    assert stream == expected
    assert json.loads(json.dumps(single)) == expected
    assert json.loads(json.dumps(batch)) == expected


def test_the_stream_and_the_api_give_the_same_reasons(champion: Champion, traffic: Floats) -> None:
    rows = traffic[50_000:50_500].copy()
    rows[::25, NUMERIC_FIELDS.index("fee")] *= 10_000
    stream = streamed(champion, rows)
    api = answers(champion, rows)
    told = [[reason["feature"] for reason in found["reasons"]] for found in api]
    assert [[reason["feature"] for reason in row["reasons"]] for row in stream] == told
    assert [row["is_anomaly"] for row in stream] == [found["is_anomaly"] for found in api]
