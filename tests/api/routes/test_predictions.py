import json

import pytest
from sklearn.pipeline import Pipeline
from starlette.testclient import TestClient
from tests.support.api_application import OVERPAID, FixedFollower, application, traffic
from tests.support.asgi_calls import Call, send_calls

from api.schemas import EXAMPLE
from core.detector.champion import Champion
from core.settings import ApiSettings
from core.transaction import DETECTOR_FIELDS

PREDICTION_FIELDS = {
    *("transaction_hash", "anomaly_score", "is_anomaly", "explanation", "percentile"),
    *(
        "threshold",
        "pattern",
        "patterns",
        "reasons",
        "warnings",
        "model_version",
        "flagged_by",
        "rules",
    ),
    *("market_fee_rate", "market_as_of", "market_source"),
}


def body(row: list[float]) -> dict[str, object]:
    return {"hash": "row", **dict(zip(DETECTOR_FIELDS, row, strict=True))}


def test_the_specifications_example_is_answered_with_every_field(client: TestClient) -> None:
    answer = client.post("/predict", json=EXAMPLE)
    assert answer.status_code == 200
    assert set(answer.json()) == PREDICTION_FIELDS
    assert answer.json()["transaction_hash"] == "a1b2c3d4e5f6..."
    assert answer.json()["model_version"] == "7"
    assert answer.json()["warnings"] == []


def test_a_fee_that_eats_the_inputs_is_flagged_and_explained(client: TestClient) -> None:
    prediction = client.post("/predict", json=OVERPAID).json()
    assert prediction["is_anomaly"] and prediction["anomaly_score"] >= prediction["threshold"]
    assert prediction["pattern"] == "fee_overpaid"
    assert prediction["reasons"][0]["feature"] in {"fee", "fee_rate", "fee_share"}
    assert prediction["reasons"][0]["value"] > prediction["reasons"][0]["usual_high"]
    assert prediction["explanation"].startswith("Unusual: it scores at least as high as")
    assert "By rule, its fee is above the limits" in prediction["explanation"]
    assert prediction["flagged_by"] == "both"
    assert prediction["rules"] == [
        *("fee_above_limits", "fee_above_amount", "fee_far_above_market"),
    ]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_many_inputs_without_value_are_no_coinbase(client: TestClient, path: str) -> None:
    odd = EXAMPLE | {"inputs_count": 5_569, "input_value": 0, "fee": 0}
    answer = client.post(path, json=odd if path == "/predict" else {"transactions": [odd]}).json()
    prediction = answer["predictions"][0] if "predictions" in answer else answer
    assert prediction["pattern"] == "zero_fee"
    assert prediction["is_anomaly"]
    assert prediction["warnings"] == ["fee is 0 but input_value - output_value is -995,000"]


def test_contradictions_are_warned_of_and_not_refused(client: TestClient) -> None:
    answer = client.post("/predict", json=EXAMPLE | {"fee": 1, "weight": 1})
    assert answer.status_code == 200
    assert len(answer.json()["warnings"]) == 2


def test_unknown_fields_are_ignored_and_optional_facts_are_used(client: TestClient) -> None:
    facts = {"coinjoin": "wasabi_2", "favourite_colour": "red"}
    prediction = client.post("/predict", json=EXAMPLE | facts).json()
    assert prediction["pattern"] == "wasabi_2"


def test_a_batch_answers_in_order_with_the_scores_of_single_calls(client: TestClient) -> None:
    bodies = [body(row) for row in traffic(50, seed=1).tolist()] + [OVERPAID]
    many = client.post("/predict/batch", json={"transactions": bodies, "reasons": "all"}).json()
    single = [client.post("/predict", json=each).json() for each in bodies]
    assert many["predictions"] == single
    assert many["model_version"] == "7"


@pytest.mark.parametrize(
    ("wanted", "explained"),
    [("flagged", [False, True]), ("all", [True, True]), ("none", [False, False])],
)
def test_a_batch_gives_the_reasons_that_are_asked_for(
    client: TestClient, wanted: str, explained: list[bool]
) -> None:
    sent = {"transactions": [EXAMPLE, OVERPAID], "reasons": wanted}
    predictions = client.post("/predict/batch", json=sent).json()["predictions"]
    assert [bool(each["reasons"]) for each in predictions] == explained


def test_an_empty_batch_has_no_predictions(client: TestClient) -> None:
    answer = client.post("/predict/batch", json={"transactions": []})
    assert answer.json()["predictions"] == []


def test_a_batch_over_the_limit_is_refused_with_the_limit(champion: Champion) -> None:
    settings = ApiSettings(_env_file=None, api_max_batch=2)
    client = TestClient(application(FixedFollower(champion), settings))
    answer = client.post("/predict/batch", json={"transactions": [EXAMPLE] * 3})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "transactions"
    assert answer.json()["errors"][0]["allowed"] == "a list from 0 to 2 items"
    assert client.post("/predict/batch", json={"transactions": [EXAMPLE] * 2}).status_code == 200


def test_scores_equal_those_of_scikit_learn_to_the_last_bit(
    champion: Champion, pipeline: Pipeline
) -> None:
    rows = traffic(10_000, seed=2)
    expected = -pipeline.score_samples(rows)
    bodies = [body(row) for row in rows.tolist()]
    batch = json.dumps({"transactions": bodies, "reasons": "none"}).encode()
    calls = [
        Call("/predict/batch", [batch]),
        *(Call(body=[json.dumps(b).encode()]) for b in bodies),
    ]
    many, *single = send_calls(application(FixedFollower(champion)), calls)
    assert [each["anomaly_score"] for each in many.json()["predictions"]] == expected.tolist()
    assert [each.json()["anomaly_score"] for each in single] == expected.tolist()


def test_an_overpaid_fee_is_told_the_fee_that_would_be_ordinary(client: TestClient) -> None:
    overpaid = EXAMPLE | {"fee": 9_000_000, "input_value": 9_995_000, "market_fee_rate": 14.0}
    answer = client.post("/predict/counterfactuals", json=overpaid)
    assert answer.status_code == 200
    said = answer.json()
    assert said["is_anomaly"] and said["model_version"] == "7" and said["market_fee_rate"] == 14.0
    fees = [each["value"] for each in said["changes"] if each["field"] == "fee"]
    assert len(fees) == 1 and 0 < fees[0] < 1_000_000
    mended = overpaid | {"fee": fees[0], "input_value": 995_000 + fees[0]}
    prediction = client.post("/predict", json=mended).json()
    assert not prediction["is_anomaly"]
    assert prediction["anomaly_score"] in [each["anomaly_score"] for each in said["changes"]]


def test_what_nothing_flags_needs_no_change_and_no_model_is_a_503(client: TestClient) -> None:
    said = client.post("/predict/counterfactuals", json=EXAMPLE).json()
    assert (said["is_anomaly"], said["changes"]) == (False, [])
    with TestClient(application(FixedFollower(None))) as without:
        assert without.post("/predict/counterfactuals", json=EXAMPLE).status_code == 503
