from collections.abc import Iterator
from datetime import datetime

import pytest
from starlette.testclient import TestClient
from tests.support.api_application import OVERPAID, FixedFollower, application

from api.schemas import EXAMPLE
from core.background import LATE_SECONDS
from core.detector.champion import Champion
from core.detector.rules import RULES
from core.feature_table import NAMES


def test_the_process_answers_without_a_model() -> None:
    assert TestClient(application(FixedFollower())).get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/ready", "/model"])
def test_without_a_model_a_sentence_says_what_is_missing(path: str) -> None:
    answer = TestClient(application(FixedFollower(problem="MLflow does not answer"))).get(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["detail"] == "There is no model to score with: MLflow does not answer."


def test_ready_has_version_age_and_why_no_newer_model_is_in_service(champion: Champion) -> None:
    client = TestClient(application(FixedFollower(champion, problem="version 8 cannot be read")))
    answer = client.get("/ready").json()
    assert (answer["status"], answer["model_version"]) == ("ready", "7")
    trained = datetime.fromisoformat(champion.calibration.trained_at)
    assert answer["trained_at"] == champion.calibration.trained_at
    age = (datetime.now(trained.tzinfo) - trained).total_seconds()
    assert answer["model_age_seconds"] == pytest.approx(max(age, 0), abs=60)
    assert answer["problem"] == "version 8 cannot be read"


def test_the_model_describes_itself(client: TestClient, champion: Champion) -> None:
    model = client.get("/model").json()
    assert (model["version"], model["alias"], model["origin"]) == ("7", "champion", "simulated")
    assert model["threshold"] == champion.threshold
    assert (model["budget"], model["rows"]) == (0.005, 2_000)
    assert [feature["name"] for feature in model["features"]] == list(NAMES)
    assert all(feature["usual_low"] <= feature["usual_high"] for feature in model["features"])
    assert model["facts"] == {"evaluation": {"recall": 0.9}, "market_fee_rate": 26.0}
    assert model["market"] is None, "there is no stream"
    assert [rule["name"] for rule in model["rules"]] == [rule.name for rule in RULES]


def test_a_new_champion_serves_the_next_request(client: TestClient, champion: Champion) -> None:
    follower = FixedFollower(champion)
    client = TestClient(application(follower))
    assert client.post("/predict", json=EXAMPLE).json()["model_version"] == "7"
    follower.current = Champion(**(vars(champion) | {"version": "8"}))
    assert client.post("/predict", json=EXAMPLE).json()["model_version"] == "8"


@pytest.fixture
def client(champion: Champion) -> Iterator[TestClient]:
    """One a test: its counters begin at zero."""
    with TestClient(application(FixedFollower(champion))) as serving:
        yield serving


def value(client: TestClient, line: str) -> float:
    text = client.get("/metrics").text
    (sample,) = [each for each in text.splitlines() if each.startswith(f"bitcoin_api_{line} ")]
    return float(sample.rsplit(" ", 1)[1])


def test_every_counter_exists_at_zero_before_the_first_request(client: TestClient) -> None:
    assert value(client, 'requests_total{route="/predict",status="200"}') == 0
    assert value(client, 'requests_total{route="/predict",status="500"}') == 0
    assert value(client, 'predictions_total{flagged="true"}') == 0


def test_requests_are_counted_by_route_and_status(client: TestClient) -> None:
    client.post("/predict", json=EXAMPLE)
    client.post("/predict", json={})
    client.get("/predict")
    client.get("/no/such/path")
    assert value(client, 'requests_total{route="/predict",status="200"}') == 1
    assert value(client, 'requests_total{route="/predict",status="422"}') == 1
    assert value(client, 'requests_total{route="/predict",status="405"}') == 1
    assert value(client, 'requests_total{route="unmatched",status="404"}') == 1
    assert value(client, 'request_seconds_count{route="/predict"}') == 3
    assert 0 < value(client, 'request_seconds_sum{route="/predict"}') < 5


def test_predictions_are_counted_by_their_verdict(client: TestClient) -> None:
    client.post("/predict", json=OVERPAID)
    client.post("/predict/batch", json={"transactions": [EXAMPLE, EXAMPLE, OVERPAID]})
    assert value(client, 'predictions_total{flagged="true"}') == 2
    assert value(client, 'predictions_total{flagged="false"}') == 2
    assert value(client, 'anomalies_total{flagged_by="both"}') == 2
    assert value(client, 'anomalies_total{flagged_by="model"}') == 0


def test_the_model_in_service_is_a_metric(champion: Champion) -> None:
    follower = FixedFollower()
    client = TestClient(application(follower))
    assert value(client, "model_ready") == value(client, "model_version") == 0
    follower.current = champion
    assert (value(client, "model_ready"), value(client, "model_version")) == (1, 7)
    assert value(client, "model_threshold_ratio") == champion.threshold
    trained = datetime.fromisoformat(champion.calibration.trained_at).timestamp()
    assert value(client, "model_trained_timestamp_seconds") == trained
    assert value(client, "model_loads_total") == 1
    follower.current = Champion(**(vars(champion) | {"version": "8"}))
    assert (value(client, "model_version"), value(client, "model_loads_total")) == (8, 2)


def test_the_follower_lives_as_long_as_the_service(champion: Champion) -> None:
    follower = FixedFollower(champion)
    with TestClient(application(follower)):
        assert follower.started and not follower.stopped
    assert follower.stopped


def test_a_follower_that_hangs_makes_the_service_unready(champion: Champion) -> None:
    follower = FixedFollower(champion)
    client = TestClient(application(follower))
    assert client.get("/ready").status_code == 200
    follower.loop.last_turn -= LATE_SECONDS
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert "the loop champion has not turned for 6" in answer.json()["detail"]
