"""The champion: the same score for one row and for many, and what is flagged."""

import logging
import pickle
import subprocess
import sys
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

import core.detector.champion
from core.detector.champion import Champion
from core.detector.injected_anomalies import KINDS
from core.detector.verdict import Verdict
from core.transaction import NUMERIC_FIELDS, DescribedTransaction

Floats = NDArray[np.float64]
MARKET = 14.0
COINBASE = [200, 700, 0, 1, 2, 0, 312_500_000, MARKET]


def described(row: Any, **facts: Any) -> DescribedTransaction:
    numbers: dict[str, Any] = dict(zip(NUMERIC_FIELDS, map(int, row), strict=False))
    return DescribedTransaction(hash="a1b2", **numbers, **facts)


def verdict_on(champion: Champion, row: Any) -> Verdict:
    """The verdict on a row of eight numbers."""
    return champion.verdict(described(row), float(row[7]))


def test_scores_are_scikit_learns_to_the_bit(
    champion: Champion, pipeline: Pipeline, traffic: Floats
) -> None:
    assert champion.fallback is None
    expected = -pipeline.score_samples(traffic)
    assert np.array_equal(champion.scores(traffic), expected)
    one_by_one = [verdict_on(champion, row).anomaly_score for row in traffic[:300]]
    assert one_by_one == expected[:300].tolist()


def test_a_pickled_champion_scores_the_same(champion: Champion, traffic: Floats) -> None:
    again = pickle.loads(pickle.dumps(champion))
    assert np.array_equal(again.scores(traffic[:100]), champion.scores(traffic[:100]))
    assert verdict_on(again, traffic[0]) == verdict_on(champion, traffic[0])


def test_scores_lie_between_0_and_1_and_the_unusual_score_higher(
    champion: Champion, traffic: Floats
) -> None:
    scores = champion.scores(traffic)
    assert ((scores > 0) & (scores < 1)).all()
    overpaid = KINDS["fat_finger_fee"].apply(traffic[:500], np.random.default_rng(0))
    assert champion.scores(overpaid).min() > np.median(scores)


def test_about_the_budget_is_flagged_of_traffic_never_seen(
    champion: Champion, traffic: Floats
) -> None:
    unseen = traffic[50_000:]
    flagged = champion.flags(unseen, champion.scores(unseen)).sum()
    assert 2 <= flagged <= 26  # 10,000 rows: the 99.9 % binomial interval of half to twice 1/1000


@pytest.mark.parametrize("name", ["fee", "inputs_count", "outputs_count"])
@pytest.mark.parametrize("times", [1, 10, 1_000])
def test_one_number_far_beyond_the_training_range_stays_flagged(
    name: str, times: int, champion: Champion, traffic: Floats
) -> None:
    far = {"fee": 1_000_000_000, "inputs_count": 20_000, "outputs_count": 20_000}
    rows = traffic[50_000:51_000].copy()
    rows[:, NUMERIC_FIELDS.index(name)] = far[name] * times
    assert champion.flags(rows, champion.scores(rows)).mean() > 0.99


def test_a_coinbase_is_scored_and_never_flagged(champion: Champion) -> None:
    verdict = verdict_on(champion, COINBASE)
    assert verdict.anomaly_score > 0
    assert not verdict.is_anomaly
    assert verdict.pattern == "coinbase"
    assert not champion.flags(np.array([COINBASE]), np.array([1.0]))[0]


def test_a_verdict_holds_together(champion: Champion, traffic: Floats) -> None:
    row = traffic[50_001].copy()
    row[NUMERIC_FIELDS.index("fee")] *= 100_000
    verdict = verdict_on(champion, row)
    assert verdict.is_anomaly
    assert verdict.threshold == champion.calibration.threshold <= verdict.anomaly_score
    assert verdict.percentile > 0.999
    assert verdict.pattern == "fee_overpaid"
    assert verdict.model_version == "3"
    assert verdict.flagged_by == "both", "the fee is above any limit"
    assert verdict.market_fee_rate == row[7]
    assert 1 <= len(verdict.reasons) <= 3
    assert {"fee_rate", "fee"} & {reason.feature for reason in verdict.reasons}
    parts = [reason.contribution for reason in verdict.reasons]
    assert parts == sorted(parts, reverse=True)
    assert parts[-1] > parts[0] / 10


def test_a_reason_has_the_value_and_the_usual_range_in_the_measures_unit(
    champion: Champion,
) -> None:
    row = [250, 1000, 14_600_000, 2, 2, 16_600_000, 2_000_000, MARKET]
    by_feature = {r.feature: r for r in verdict_on(champion, row).reasons}
    reason = by_feature["fee_rate"]
    assert reason.value == 58_400
    low, high = champion.calibration.usual["fee_rate"]
    assert (reason.usual_low, reason.usual_high) == (low * MARKET, high * MARKET)
    assert reason.usual_low < reason.usual_high < 1_000


def test_a_forest_that_scores_otherwise_falls_back_to_scikit_learn_loudly(
    champion: Champion,
    pipeline: Pipeline,
    traffic: Floats,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(core.detector.champion, "is_exact", lambda *_: False)
    with caplog.at_level(logging.ERROR):
        slow = Champion.from_pipeline(pipeline, champion.calibration, "4")
    assert "event=slow_scoring version=4 " in caplog.text
    assert "differs from scikit-learn" in caplog.text
    assert slow.fallback is pipeline
    assert np.array_equal(slow.scores(traffic[:50]), -pipeline.score_samples(traffic[:50]))
    verdict = verdict_on(slow, traffic[0])
    assert verdict.anomaly_score == verdict_on(champion, traffic[0]).anomaly_score
    assert verdict.reasons == ()


def test_a_verdict_takes_microseconds(champion: Champion, traffic: Floats) -> None:
    transactions = [described(row) for row in traffic[:200]]
    taken = []
    for transaction in transactions:
        start = perf_counter()
        champion.verdict(transaction, MARKET)
        taken.append(perf_counter() - start)
    assert np.quantile(taken, 0.1) < 300e-6  # about 40 when nothing else runs


def test_the_scorer_starts_without_the_large_libraries() -> None:
    script = (
        "import sys, core.detector.champion;"
        "print(sorted({'sklearn', 'mlflow', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
