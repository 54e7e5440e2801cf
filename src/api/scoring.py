"""From transactions to predictions, with the champion that is loaded now."""

from collections.abc import Iterator
from itertools import chain
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa

from api.errors import NoModelError
from api.going_rate import Beside
from api.schemas import Changes, Prediction, SubmittedTransaction
from core.background import BackgroundLoop
from core.detector.champion import Champion, RulesOnly
from core.detector.counterfactuals import counterfactuals
from core.detector.explanation import explanation
from core.detector.patterns import COINBASE, facts_of
from core.detector.rules import (
    RULES_VERSION,
    fee_contradicts,
    rules_of,
    weight_contradicts,
)
from core.detector.verdict import Reason, Verdict
from core.transaction import (
    MARKET_FEE_RATE,
    NUMERIC_FIELDS,
    PATTERN_FACTS,
    DescribedTransaction,
    Transaction,
    numbers_of,
)

NO_MODEL = "No model is in service yet: judged by rules alone."
"""The warning of a prediction without a score."""


class Follower(Protocol):
    """Keeps the champion loaded; `core.registry.follower.ChampionFollower` is the real one.

    `current` is None until a first champion is loaded. `problem` says why there is none, or why
    the newest one is not loaded. `loop` is what follows.
    """

    current: Champion | None
    problem: str | None
    loop: BackgroundLoop

    def start(self) -> None:
        """Start to follow the champion; returns at once."""

    def stop(self) -> None:
        """Stop, and wait for the end of a load."""


def current_champion(follower: Follower) -> Champion:
    """Return the champion; raises `NoModelError` while there is none."""
    champion = follower.current
    if champion is None:
        raise NoModelError(follower.problem)
    return champion


def predict(
    judge: Champion | RulesOnly, transaction: DescribedTransaction, market: Beside
) -> Prediction:
    """Judge one transaction beside a market, with reasons whether or not it is flagged."""
    return _prediction(transaction, judge.verdict(transaction, market.fee_rate), market)


def predict_batch(
    judge: Champion | RulesOnly,
    transactions: list[SubmittedTransaction],
    markets: list[Beside],
    reasons: Literal["flagged", "all", "none"],
) -> list[Prediction]:
    """Judge many transactions, each beside its market; returns predictions in the same order."""
    verdicts = _verdicts(judge.verdicts(_table(transactions, markets), explain=reasons))
    return list(map(_prediction, transactions, verdicts, markets))


def find_changes(champion: Champion, transaction: Transaction, market: Beside) -> Changes:
    """Find what would make one transaction ordinary beside a market."""
    numbers = (*map(float, numbers_of(transaction)), market.fee_rate)
    found = counterfactuals(champion, numbers)
    return {
        "transaction_hash": transaction.hash,
        "is_anomaly": found is not None,
        "changes": [
            {"field": field, "value": value, "anomaly_score": score}
            for field, value, score in found or ()
        ],
        "threshold": champion.threshold,
        "market_fee_rate": market.fee_rate,
        "model_version": champion.version,
    }


def _table(transactions: list[SubmittedTransaction], markets: list[Beside]) -> pa.Table:
    """Make the columns that `Champion.verdicts` reads."""
    numbers = np.fromiter(chain.from_iterable(map(numbers_of, transactions)), np.float64)
    facts = zip(PATTERN_FACTS, zip(*map(facts_of, transactions), strict=True), strict=False)
    return pa.table(
        dict(zip(NUMERIC_FIELDS, numbers.reshape(-1, len(NUMERIC_FIELDS)).T, strict=True))
        | {name: pa.array(column) for name, column in facts}
        | {MARKET_FEE_RATE: pa.array([market.fee_rate for market in markets], pa.float64())}
    )


def _verdicts(table: pa.Table) -> Iterator[Verdict]:
    """Read whole columns at once, which is faster than `Verdict.from_row` on each row."""
    columns = {name: table.column(name).to_pylist() for name in Verdict._fields}
    columns["reasons"] = [tuple(Reason(**each) for each in row) for row in columns["reasons"]]
    columns["patterns"] = list(map(tuple, columns["patterns"]))
    return map(Verdict._make, zip(*columns.values(), strict=True))


def _prediction(transaction: Transaction, verdict: Verdict, market: Beside) -> Prediction:
    score, percentile, threshold, is_anomaly, patterns, reasons, version, flagged_by, *_ = verdict
    by_rule = flagged_by in ("rule", "both")
    rules = rules_of((*numbers_of(transaction), market.fee_rate)) if by_rule else ()
    return {
        "transaction_hash": transaction.hash,
        "anomaly_score": score,
        "is_anomaly": is_anomaly,
        "explanation": explanation(verdict, rules),
        "percentile": percentile,
        "threshold": threshold,
        "pattern": verdict.pattern,
        "patterns": list(patterns),
        "reasons": [
            {
                "feature": reason.feature,
                "value": reason.value,
                "usual_low": reason.usual_low,
                "usual_high": reason.usual_high,
                "contribution": reason.contribution,
            }
            for reason in reasons
        ],
        "warnings": _warnings(transaction, verdict),
        "model_version": version,
        "flagged_by": flagged_by,
        "rules": list(rules),
        "market_fee_rate": market.fee_rate,
        "market_as_of": market.as_of.isoformat() if market.as_of else None,
        "market_source": market.source,
    }


def _warnings(transaction: Transaction, verdict: Verdict) -> list[str]:
    warnings = inconsistencies(transaction, is_coinbase=verdict.pattern == COINBASE)
    return [NO_MODEL, *warnings] if verdict.model_version == RULES_VERSION else warnings


def inconsistencies(transaction: Transaction, is_coinbase: bool = False) -> list[str]:
    """Say in sentences which numbers contradict each other; empty for a consistent transaction.

    A prediction carries them as warnings: such a transaction is scored and not refused. The fee of
    a coinbase transaction is not compared, since it spends nothing.
    """
    sentences = []
    size, weight = transaction.size, transaction.weight
    if weight_contradicts(transaction):
        sentences.append(
            f"weight is {weight:,} but must lie between size ({size:,}) and 4 x size ({4 * size:,})"
        )
    if fee_contradicts(transaction) and not is_coinbase:
        fee, difference = transaction.fee, transaction.input_value - transaction.output_value
        sentences.append(f"fee is {fee:,} but input_value - output_value is {difference:,}")
    if transaction.inputs_count == 0:
        sentences.append("inputs_count is 0 but every transaction has an input")
    if transaction.outputs_count == 0:
        sentences.append("outputs_count is 0 but every transaction has an output")
    return sentences
