"""The going fee rate of an answer: the caller's, the stream's, the model's, or nobody's."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from starlette.testclient import TestClient
from tests.support.api_application import OVERPAID, FixedFollower, application

from api.blockchain_body import EXAMPLE as RAW
from api.going_rate import GoingRate
from api.schemas import EXAMPLE
from api.scoring import NO_MODEL
from core.detector.champion import Champion
from core.lake import OriginMismatchError, open_or_create_table
from core.tables import MARKET

MINUTE = datetime(2026, 9, 28, 6, 59, tzinfo=UTC)


def write_market(lake: str, minute: datetime, fee_rate: float, origin: str = "simulated") -> None:
    """Append one minute to the table, as the stream does."""
    table = open_or_create_table(lake, "market", MARKET, origin, ["date"])
    row = {"minute": minute, "fee_rate": fee_rate, "low": 1.0, "high": 90.0, "rows": 1_000}
    rows = pa.Table.from_pylist([row | {"date": minute.date()}], schema=MARKET)
    write_deltalake(table, rows, mode="append")


def market_of(answer: dict[str, Any]) -> tuple[float, str | None, str]:
    return answer["market_fee_rate"], answer["market_as_of"], answer["market_source"]


def refreshed(rate: GoingRate) -> tuple[datetime, float] | None:
    """Its newest market after a look at the table: minute and fee rate."""
    rate.refresh()
    return rate.current and (rate.current.minute, rate.current.fee_rate)


def test_the_newest_minute_is_read_and_kept_while_the_lake_is_away(lake: str) -> None:
    rate = GoingRate(lake, "simulated")
    assert refreshed(rate) is None
    write_market(lake, MINUTE, 15.5)
    write_market(lake, MINUTE - timedelta(minutes=1), 14.0)
    write_market(lake, MINUTE - timedelta(days=1), 99.0)
    assert refreshed(rate) == (MINUTE, 15.5)
    tomorrow = MINUTE + timedelta(days=1)
    write_market(lake, tomorrow, 20.0)
    assert refreshed(rate) == (tomorrow, 20.0)
    write_market(lake, datetime.now(UTC) + timedelta(hours=2), 70.0)
    write_market(lake, datetime.now(UTC) + timedelta(days=2), 80.0)
    assert refreshed(rate) == (tomorrow, 20.0), "the broker's clock was ahead for once"
    Path(lake).rename(f"{lake}-moved")
    assert refreshed(rate) == (tomorrow, 20.0)


def test_a_market_of_the_other_origin_is_refused(lake: str) -> None:
    write_market(lake, MINUTE, 15.5, origin="live")
    rate = GoingRate(lake, "simulated")
    with pytest.raises(OriginMismatchError):
        rate.refresh()
    rate.loop.turn()
    assert rate.current is None
    assert rate.loop.failures == 1


def test_the_streams_market_is_used_and_said(champion: Champion, lake: str) -> None:
    write_market(lake, MINUTE, 15.5)
    deadline = time.monotonic() + 60
    with TestClient(application(FixedFollower(champion), lake=lake)) as client:
        answer = client.post("/predict", json=EXAMPLE).json()
        while answer["market_source"] != "stream" and time.monotonic() < deadline:
            answer = client.post("/predict", json=EXAMPLE).json()
        assert market_of(answer) == (15.5, MINUTE.isoformat(), "stream")
        market = {"fee_rate": 15.5, "low": 1.0, "high": 90.0, "rows": 1_000}
        assert client.get("/model").json()["market"] == market | {"as_of": MINUTE.isoformat()}
        given = client.post("/predict", json=EXAMPLE | {"market_fee_rate": 2}).json()
        assert market_of(given) == (2.0, None, "caller")
        raw = client.post("/predict/raw", json=RAW).json()
        assert market_of(raw) == (15.5, MINUTE.isoformat(), "stream")
        both = [EXAMPLE, EXAMPLE | {"market_fee_rate": 480.5}]
        many = client.post("/predict/batch", json={"transactions": both}).json()["predictions"]
        assert [each["market_source"] for each in many] == ["stream", "caller"]
        assert [each["market_fee_rate"] for each in many] == [15.5, 480.5]


def test_without_the_streams_the_models_market_is_used(client: TestClient) -> None:
    assert market_of(client.post("/predict", json=EXAMPLE).json()) == (26.0, None, "model")


@pytest.mark.parametrize("path", ["/predict", "/predict/raw"])
def test_a_fee_is_judged_beside_the_callers_market(client: TestClient, path: str) -> None:
    body = RAW if path == "/predict/raw" else EXAMPLE
    quiet, busy = (
        client.post(path, json=body | {"market_fee_rate": rate}).json() for rate in (0.02, 20)
    )
    assert quiet["anomaly_score"] > busy["anomaly_score"]
    assert market_of(quiet) == (0.02, None, "caller")


@pytest.mark.parametrize("path", ["/predict", "/predict/raw"])
@pytest.mark.parametrize("given", ["0", "-1", "1e10", "1e999", "NaN", '"15"', "true", "[15]"])
def test_a_market_that_cannot_be_is_refused(client: TestClient, path: str, given: str) -> None:
    body = json.dumps(RAW if path == "/predict/raw" else EXAMPLE)
    content = f'{body[:-1]}, "market_fee_rate": {given}}}'
    answer = client.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code in ((400, 422) if given in ("NaN", "1e999") else (422,))
    assert answer.status_code == 400 or "market_fee_rate" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/predict", "/predict/raw"])
def test_no_market_is_the_present_one(client: TestClient, path: str) -> None:
    body = RAW if path == "/predict/raw" else EXAMPLE
    assert market_of(client.post(path, json=body | {"market_fee_rate": None}).json())[2] == "model"


def test_without_a_champion_the_rules_answer_and_say_so() -> None:
    client = TestClient(application(FixedFollower(problem="nothing is promoted")))
    given = {"market_fee_rate": 20.0}
    ordinary = client.post("/predict", json=EXAMPLE)
    assert (ordinary.status_code, client.get("/ready").status_code) == (200, 503)
    answer = ordinary.json()
    assert (answer["model_version"], answer["warnings"]) == ("rules", [NO_MODEL])
    assert market_of(answer) == (20.0, None, "none"), "its own fee rate"
    assert (answer["flagged_by"], answer["rules"], answer["is_anomaly"]) == (None, [], False)
    assert answer["explanation"] == "No rule flags it; there is no model yet."
    overpaid = client.post("/predict", json=OVERPAID | given).json()
    assert (overpaid["flagged_by"], overpaid["anomaly_score"]) == ("rule", 0.0)
    assert overpaid["rules"] == [
        *("fee_above_limits", "fee_above_amount", "fee_far_above_market"),
    ]
    assert "By rule, its fee is above the limits of Bitcoin Core" in overpaid["explanation"]
    sent = {"transactions": [EXAMPLE, OVERPAID | given]}
    many = client.post("/predict/batch", json=sent).json()
    assert many == {"predictions": [answer, overpaid], "model_version": "rules"}
