import json
import random
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application
from tests.support.asgi_calls import JSON, Call, mutated, send_calls
from tests.support.blockchain_samples import item, payment
from tests.support.coinjoins import shared_fee

from api.blockchain_body import EXAMPLE
from api.errors import Problem
from core.detector.champion import Champion

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "blockchain_info"
CAPTURED = SAMPLES / "rawtx_captures_2025_2026.json"


def test_the_documented_example_is_scored(client: TestClient) -> None:
    answer = client.post("/predict/raw", json=EXAMPLE)
    assert answer.status_code == 200
    assert answer.json()["warnings"] == []


def test_it_is_scored_like_its_eight_fields(client: TestClient) -> None:
    fields = {
        **{"hash": payment()["hash"], "size": 225, "weight": 573, "fee": 1_000},
        **{"inputs_count": 1, "outputs_count": 2, "input_value": 10_000, "output_value": 9_000},
    }
    raw = client.post("/predict/raw", content=item(), headers=JSON).json()
    assert raw == client.post("/predict", json=fields).json()


def test_facts_that_only_the_raw_json_has_are_used(client: TestClient) -> None:
    prediction = client.post("/predict/raw", json=shared_fee()).json()
    assert prediction["pattern"] == "coinjoin"


@pytest.mark.skipif(not CAPTURED.exists(), reason="the recorded responses are not there")
def test_recorded_responses_are_scored(client: TestClient) -> None:
    def transactions(part: Any) -> list[dict[str, Any]]:
        if isinstance(part, dict) and "vin_sz" in part:
            return [part]
        inner = part.values() if isinstance(part, dict) else part
        nested = (list, dict)
        return [t for each in inner if isinstance(each, nested) for t in transactions(each)]

    recorded = transactions(json.loads(CAPTURED.read_text()))
    assert recorded
    for transaction in recorded:
        answer = client.post("/predict/raw", json=transaction)
        assert (answer.status_code, answer.json()["warnings"]) == (200, [])


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"{", 400, "not a transaction"),
        (b"\xff", 400, "not a transaction"),
        (b"{}", 422, "required field `hash`"),
        (item(weight=...), 422, "weight is missing"),
        (item(fee=5), 422, "fee is 5"),
        (item(size=0), 422, "size"),
        (item(hash="x" * 200), 422, "hash"),
        (b"[" * 100_000, 422, "not a transaction"),
    ],
    ids=["cut", "bytes", "empty", "no weight", "wrong fee", "bounds", "long hash", "deep"],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    client: TestClient, content: bytes, status: int, reason: str
) -> None:
    answer = client.post("/predict/raw", content=content, headers=JSON)
    assert answer.status_code == status
    assert reason in Problem.model_validate(answer.json()).detail


def test_mutated_raw_bodies_are_answered_or_refused(champion: Champion) -> None:
    rng = random.Random(11)
    calls = [Call("/predict/raw", [mutated(rng, item())]) for _ in range(3_000)]
    answers = send_calls(application(FixedFollower(champion)), calls)
    assert {answer.status for answer in answers} == {200, 400, 422}
