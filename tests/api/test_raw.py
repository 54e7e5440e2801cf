import json
import random
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.calling import JSON, Call, ask_all
from tests.api.conftest import Following, application
from tests.api.test_problems import mutated
from tests.support.blockchain_samples import item, paid, payment, spent

from api.problems import Problem
from api.raw import EXAMPLE
from core.detector.champion import Champion

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "blockchain_info"
CAPTURED = SAMPLES / "rawtx_captures_2025_2026.json"


def test_the_documented_example_is_scored(client: TestClient) -> None:
    found = client.post("/predict/raw", json=EXAMPLE)
    assert found.status_code == 200
    assert found.json()["warnings"] == []


def test_it_is_scored_like_its_eight_fields(client: TestClient) -> None:
    fields = {
        **{"hash": payment()["hash"], "size": 225, "weight": 573, "fee": 1_000},
        **{"inputs_count": 1, "outputs_count": 2, "input_value": 10_000, "output_value": 9_000},
    }
    raw = client.post("/predict/raw", content=item(), headers=JSON).json()
    assert raw == client.post("/predict", json=fields).json()


def test_what_only_the_raw_json_tells_is_used(client: TestClient) -> None:
    coinjoin = item(
        inputs=[spent(1_200) for _ in range(6)],
        vin_sz=6,
        fee=1_200,
        out=[paid(1_000) for _ in range(6)],
        vout_sz=6,
    )
    found = client.post("/predict/raw", content=coinjoin, headers=JSON).json()
    assert found["pattern"] == "coinjoin"


@pytest.mark.skipif(not CAPTURED.exists(), reason="the recorded responses are not there")
def test_recorded_responses_are_scored(client: TestClient) -> None:
    def transactions(found: Any) -> list[dict[str, Any]]:
        if isinstance(found, dict) and "vin_sz" in found:
            return [found]
        inner = found.values() if isinstance(found, dict) else found
        nested = (list, dict)
        return [t for each in inner if isinstance(each, nested) for t in transactions(each)]

    recorded = transactions(json.loads(CAPTURED.read_text()))
    assert recorded
    for transaction in recorded:
        answer = client.post("/predict/raw", json=transaction)
        assert (answer.status_code, answer.json()["warnings"]) == (200, [])


@pytest.mark.parametrize(
    ("content", "status", "said"),
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
    client: TestClient, content: bytes, status: int, said: str
) -> None:
    answer = client.post("/predict/raw", content=content, headers=JSON)
    assert answer.status_code == status
    assert said in Problem.model_validate(answer.json()).detail


def test_mutated_raw_bodies_are_answered_or_refused(champion: Champion) -> None:
    rng = random.Random(11)
    calls = [Call("/predict/raw", [mutated(rng, item())]) for _ in range(3_000)]
    answers = ask_all(application(Following(champion)), calls)
    assert {answer.status for answer in answers} == {200, 400, 422}
