"""The drift of a day against what the model in use was trained on, and when it is not known."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.report_lake import DAY, MIDNIGHT, flag
from tests.support.scored_lake import append_scored

from core.casework import CaseworkStore
from core.daily_drift import DailyDrift, ModelInUse, daily_drift
from core.daily_report import daily_report
from core.detector.champion import Champion
from core.detector.drift import SCORE, drift_limit, drift_reference
from core.feature_table import NAMES
from core.features import Floats
from core.ordinary_traffic.traffic import beside_market
from core.report_text import as_html, as_text
from core.tables import SCORED_TRANSACTIONS
from core.transaction import DETECTOR_FIELDS

ROWS = 1_200


@pytest.fixture(scope="module")
def model(champion: Champion) -> ModelInUse:
    """A model that remembers three days of ordinary traffic."""
    rows = beside_market(20_000, seed=8)
    facts = {"drift": drift_reference(rows, champion.scores(rows)), "covered_seconds": 3 * 86_400}
    return ModelInUse("3", replace(champion.calibration, facts=facts))


def write(
    lake: Path, rows: Floats, champion: Champion, hours: float = 23.5, **columns: Any
) -> None:
    """Write rows as scored ones of the day, evenly over so many hours of it."""
    scored = []
    for number, (row, score) in enumerate(zip(rows, champion.scores(rows), strict=True)):
        at = MIDNIGHT + timedelta(hours=hours * number / (len(rows) - 1))
        numbers: dict[str, Any] = dict(zip(DETECTOR_FIELDS, row.tolist(), strict=True))
        numbers = {name: int(value) for name, value in numbers.items()} | {
            "market_fee_rate": numbers["market_fee_rate"],
            "append_time": at,
            "date": DAY,
        }
        scored.append(flag(number, float(score)) | numbers | columns)
    append_scored(str(lake), scored)


def measured(lake: Path, model: ModelInUse | str) -> DailyDrift:
    return daily_drift(str(lake), "simulated", DAY, model)


def test_a_day_like_the_training_has_not_drifted(
    tmp_path: Path, model: ModelInUse, champion: Champion
) -> None:
    write(tmp_path, beside_market(ROWS, seed=9), champion)
    drift = measured(tmp_path, model)
    assert set(drift.indexes) == {*NAMES, SCORE} and drift.problem is None
    assert list(drift.indexes.values()) == sorted(drift.indexes.values(), reverse=True)
    assert drift.limit == drift_limit(model.calibration, ROWS, 86_400, 0.25)
    assert max(drift.indexes.values()) < 0.1


def test_a_feature_that_moved_is_named_in_both_forms_of_the_report(
    tmp_path: Path, model: ModelInUse, champion: Champion
) -> None:
    rows = beside_market(ROWS, seed=9)
    rows[:, 4] += 3  # outputs
    write(tmp_path, rows, champion)
    store = CaseworkStore(str(tmp_path / "casework"), "simulated")
    report = daily_report(str(tmp_path), store, DAY, model)
    assert next(iter(report.drift.indexes)) == "outputs_count"
    for text in (as_text(report), as_html(report)):
        assert "Drifted since version 3 was trained: outputs" in text
        assert "Largest population stability indexes: outputs " in text
    assert report.as_json()["drift"]["model_version"] == "3"


def test_scores_of_another_version_are_not_compared(
    tmp_path: Path, model: ModelInUse, champion: Champion
) -> None:
    write(tmp_path, beside_market(ROWS, seed=9), champion, model_version="2")
    assert set(measured(tmp_path, model).indexes) == set(NAMES)


@pytest.mark.parametrize(
    ("rows", "hours", "columns", "reason"),
    [
        (999, 23.5, {}, "999 scored transactions over 23.5 hours are too few"),
        (ROWS, 22.9, {}, "1,200 scored transactions over 22.9 hours are too few"),
        (ROWS, 23.5, {"market_fee_rate": None}, "0 scored transactions over 0.0 hours"),
        (ROWS, 23.5, {"fee": 0, "inputs_count": 1, "input_value": 0}, "0 scored transactions"),
    ],
    ids=["rows", "hours", "no market", "coinbase"],
)
def test_a_day_of_too_little_says_so(
    tmp_path: Path,
    model: ModelInUse,
    champion: Champion,
    rows: int,
    hours: float,
    columns: dict[str, Any],
    reason: str,
) -> None:
    write(tmp_path, beside_market(rows, seed=9), champion, hours, **columns)
    drift = measured(tmp_path, model)
    assert (drift.indexes, drift.limit) == ({}, None)
    assert drift.problem is not None and drift.problem.startswith(reason)


def test_without_a_model_or_its_traffic_drift_is_not_known(
    tmp_path: Path, model: ModelInUse
) -> None:
    def because(facts: dict[str, Any]) -> str | None:
        return measured(tmp_path, ModelInUse("3", replace(model.calibration, facts=facts))).problem

    facts = dict(model.calibration.facts)
    assert because({}) == "version 3 does not say what traffic it was trained on"
    assert because(facts | {"covered_seconds": 7_200.0}) == (
        "version 3 was trained on 2.0 hours of traffic, not on whole days"
    )
    assert measured(tmp_path, model).problem == (
        "0 scored transactions over 0.0 hours are too few; it takes 1,000 over 23.0 hours"
    )
    store = CaseworkStore(str(tmp_path / "casework"), "simulated")
    text = as_text(daily_report(str(tmp_path), store, DAY, "MLflow does not answer"))
    assert "Drift\n- Not known: MLflow does not answer." in text


def test_a_table_of_an_earlier_version_knows_no_market(tmp_path: Path, model: ModelInUse) -> None:
    market = SCORED_TRANSACTIONS.get_field_index("market_fee_rate")
    append_scored(str(tmp_path), [flag(1, 0.7)], schema=SCORED_TRANSACTIONS.remove(market))
    problem = measured(tmp_path, model).problem
    assert problem is not None and problem.startswith("0 scored transactions")


def test_more_rows_than_are_measured_are_drawn_evenly(
    tmp_path: Path, model: ModelInUse, champion: Champion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.daily_drift.MEASURED_ROWS", ROWS)
    rows = beside_market(2 * ROWS - 2, seed=9)
    rows[1::2, 4] += 3  # every second row, of which none is drawn
    write(tmp_path, rows, champion)
    drift = measured(tmp_path, model)
    assert drift.limit == drift_limit(model.calibration, ROWS - 1, 86_400, 0.25)
    assert drift.indexes["outputs_count"] < 0.1
