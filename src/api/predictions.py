"""From submitted transactions to predictions: pure functions over the champion's verdicts."""

from collections.abc import Iterator
from itertools import chain
from typing import Literal

import numpy as np
import pyarrow as pa

from api.consistency import warnings
from api.schemas import Prediction, ReasonGiven, SubmittedTransaction
from core.detector.champion import Champion
from core.detector.explanation import explanation
from core.detector.patterns import FACTS, facts_of
from core.detector.verdict import Reason, Verdict
from core.transaction import NUMERIC_FIELDS, DescribedTransaction, Transaction, numbers_of


def predict(champion: Champion, transaction: DescribedTransaction) -> Prediction:
    """Score one transaction, with reasons whether or not it is flagged."""
    return prediction(transaction, champion.verdict(transaction))


def predict_batch(
    champion: Champion,
    transactions: list[SubmittedTransaction],
    reasons: Literal["flagged", "all", "none"],
) -> list[Prediction]:
    """Score many transactions; predictions in their order."""
    verdicts = _verdicts(champion.verdicts(_table(transactions), explain=reasons))
    return list(map(prediction, transactions, verdicts))


def _verdicts(table: pa.Table) -> Iterator[Verdict]:
    """As `Verdict.from_row` makes them, but from whole columns."""
    columns = {name: table.column(name).to_pylist() for name in Verdict._fields}
    columns["reasons"] = [tuple(Reason(**each) for each in told) for told in columns["reasons"]]
    return map(Verdict._make, zip(*columns.values(), strict=True))


def _table(transactions: list[SubmittedTransaction]) -> pa.Table:
    """The columns that the champion looks at."""
    numbers = np.fromiter(chain.from_iterable(map(numbers_of, transactions)), np.float64)
    facts = zip(FACTS, zip(*map(facts_of, transactions), strict=True), strict=False)
    return pa.table(
        dict(zip(NUMERIC_FIELDS, numbers.reshape(-1, len(NUMERIC_FIELDS)).T, strict=True))
        | {name: pa.array(column) for name, column in facts}
    )


def prediction(transaction: Transaction, verdict: Verdict) -> Prediction:
    """What a caller gets of a verdict."""
    score, percentile, threshold, is_anomaly, pattern, reasons, version = verdict
    return {
        "transaction_hash": transaction.hash,
        "anomaly_score": score,
        "is_anomaly": is_anomaly,
        "explanation": explanation(verdict),
        "percentile": percentile,
        "threshold": threshold,
        "pattern": pattern,
        "reasons": [_given(reason) for reason in reasons],
        "warnings": warnings(transaction),
        "model_version": version,
    }


def _given(reason: Reason) -> ReasonGiven:
    return {
        "feature": reason.feature,
        "value": reason.value,
        "usual_low": reason.usual_low,
        "usual_high": reason.usual_high,
        "contribution": reason.contribution,
    }
