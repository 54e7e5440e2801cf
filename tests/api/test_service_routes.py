from datetime import datetime

import pytest
from starlette.testclient import TestClient
from tests.api.conftest import EXAMPLE, OVERPAID, Following, application

from core.detector.champion import Champion
from core.feature_table import NAMES


def test_the_process_answers_without_a_model() -> None:
    assert TestClient(application(Following())).get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/ready", "/model"])
def test_without_a_model_a_sentence_says_what_is_missing(path: str) -> None:
    answer = TestClient(application(Following(problem="MLflow does not answer"))).get(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["detail"] == "There is no model to score with: MLflow does not answer."


def test_ready_tells_version_age_and_why_no_newer_model_is_in_service(champion: Champion) -> None:
    client = TestClient(application(Following(champion, problem="version 8 cannot be read")))
    found = client.get("/ready").json()
    assert (found["status"], found["model_version"]) == ("ready", "7")
    trained = datetime.fromisoformat(champion.calibration.trained_at)
    assert found["trained_at"] == champion.calibration.trained_at
    age = (datetime.now(trained.tzinfo) - trained).total_seconds()
    assert found["model_age_seconds"] == pytest.approx(max(age, 0), abs=60)
    assert found["problem"] == "version 8 cannot be read"


def test_the_model_describes_itself(client: TestClient, champion: Champion) -> None:
    found = client.get("/model").json()
    assert (found["version"], found["alias"], found["origin"]) == ("7", "champion", "simulated")
    assert found["threshold"] == champion.threshold
    assert (found["budget"], found["rows"]) == (0.005, 2_000)
    assert [feature["name"] for feature in found["features"]] == list(NAMES)
    assert all(feature["usual_low"] <= feature["usual_high"] for feature in found["features"])
    assert found["facts"] == {"evaluation": {"recall": 0.9}}


def test_a_new_champion_serves_the_next_request(client: TestClient, champion: Champion) -> None:
    following = Following(champion)
    client = TestClient(application(following))
    assert client.post("/predict", json=EXAMPLE).json()["model_version"] == "7"
    following.current = Champion(**(vars(champion) | {"version": "8"}))
    assert client.post("/predict", json=EXAMPLE).json()["model_version"] == "8"


def value(client: TestClient, line: str) -> float:
    text = client.get("/metrics").text
    (found,) = [each for each in text.splitlines() if each.startswith(f"bitcoin_api_{line} ")]
    return float(found.rsplit(" ", 1)[1])


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


def test_the_model_in_service_is_told(champion: Champion) -> None:
    following = Following()
    client = TestClient(application(following))
    assert value(client, "model_ready") == value(client, "model_version") == 0
    following.current = champion
    assert (value(client, "model_ready"), value(client, "model_version")) == (1, 7)
    assert value(client, "model_threshold_ratio") == champion.threshold
    trained = datetime.fromisoformat(champion.calibration.trained_at).timestamp()
    assert value(client, "model_trained_timestamp_seconds") == trained
    assert value(client, "model_loads_total") == 1
    following.current = Champion(**(vars(champion) | {"version": "8"}))
    assert (value(client, "model_version"), value(client, "model_loads_total")) == (8, 2)


def test_the_follower_lives_as_long_as_the_service(champion: Champion) -> None:
    following = Following(champion)
    with TestClient(application(following)):
        assert following.started and not following.stopped
    assert following.stopped
