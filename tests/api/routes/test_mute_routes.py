from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application

from api.routes import mute_routes as routes
from core.casework import CaseworkStore
from core.mutes import read_mutes

ADDRESS = "bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh"


def later(**time: float) -> str:
    return (datetime.now(UTC) + timedelta(**time)).isoformat()


@pytest.fixture
def casework(tmp_path: Path) -> CaseworkStore:
    return CaseworkStore(str(tmp_path / "casework"), "simulated")


@pytest.fixture
def client(casework: CaseworkStore) -> TestClient:
    return TestClient(application(FixedFollower(), casework=casework.root))


def mute(client: TestClient, **body: Any) -> Any:
    body = {"pattern": "fee_overpaid", "until": later(days=1), "author": "ann"} | body
    return client.post("/mutes", json=body)


def test_a_mute_is_in_force_until_its_date(client: TestClient, casework: CaseworkStore) -> None:
    bounds = {"fee_rate_min": 3, "fee_rate_max": 9.5, "outputs_count_min": 2}
    answer = mute(client, address=ADDRESS, note="our own <payouts>", **bounds)
    assert answer.status_code == 201, answer.text
    given = answer.json()
    assert given["in_force"] and given["note"] == "our own <payouts>"
    assert given["fee_rate_max"] == 9.5 and given["output_value_min"] is None
    (listed,) = client.get("/mutes").json()["mutes"]
    assert listed["id"] == given["id"] and listed["address"] == ADDRESS
    (read,) = read_mutes(casework)
    assert not read.in_force(datetime.now(UTC) + timedelta(days=1, seconds=1))


def test_an_address_as_a_code_to_be_photographed_has_it_mutes_the_same_payer(
    client: TestClient, casework: CaseworkStore
) -> None:
    """Of a segwit address capitals mean the same (BIP 173); transactions carry it without them."""
    given = mute(client, pattern=None, address=ADDRESS.upper()).json()
    assert given["address"] == ADDRESS
    (read,) = read_mutes(casework)
    assert read.matches({"input_addresses": [ADDRESS]})
    legacy = "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH"
    assert mute(client, pattern=None, address=legacy).json()["address"] == legacy


def test_a_mute_is_ended_once_by_whom_it_says(client: TestClient) -> None:
    id = mute(client).json()["id"]
    ended = client.delete(f"/mutes/{id}", params={"author": "bob"})
    assert ended.status_code == 200, ended.text
    assert ended.json()["author"] == "bob" and not ended.json()["in_force"]
    again = client.delete(f"/mutes/{id}", params={"author": "eve"}).json()
    assert again["author"] == "bob"
    assert client.get("/mutes", params={"in_force": True}).json()["mutes"] == []
    (history,) = client.get("/mutes", params={"in_force": False}).json()["mutes"]
    assert history["id"] == id and history["ended_at"]


def test_an_unknown_mute_cannot_be_ended(client: TestClient) -> None:
    assert client.delete(f"/mutes/{'0' * 32}", params={"author": "bob"}).status_code == 404
    assert client.delete("/mutes/'--", params={"author": "bob"}).status_code == 422
    assert client.delete(f"/mutes/{'0' * 32}").status_code == 422


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"pattern": None}, "mute everything"),
        ({"pattern": "nonsense"}, "pattern"),
        ({"address": "x' OR '1"}, "address"),
        ({"until": later(days=-1)}, "next 366 days"),
        ({"until": later(days=367)}, "next 366 days"),
        ({"until": "9999-12-31T23:59:59-23:59"}, "next 366 days"),
        ({"until": "0001-01-01T00:00:00+23:59"}, "next 366 days"),
        ({"until": 1_900_000_000}, "until"),
        ({"until": "1900000000"}, "until"),
        ({"until": "2027-01-01T00:00:00"}, "until"),
        ({"until": None}, "until"),
        ({"fee_rate_min": 5, "fee_rate_max": 4}, "above the most"),
        ({"fee_rate_min": -1}, "fee_rate_min"),
        ({"output_value_max": 2.5}, "output_value_max"),
        ({"outputs_count_min": True}, "outputs_count_min"),
        ({"who": "me"}, "who"),
    ],
)
def test_a_wrong_mute_is_refused_in_words(
    client: TestClient, body: dict[str, Any], words: str
) -> None:
    answer = mute(client, **body)
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]
    assert client.get("/mutes").json()["mutes"] == []


def test_there_are_not_more_in_force_than_rows_can_be_compared_with(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MOST_MUTES", 1)
    first = mute(client).json()["id"]
    assert "end some first" in mute(client).json()["detail"]
    client.delete(f"/mutes/{first}", params={"author": "bob"})
    assert mute(client).status_code == 201


def test_a_path_with_two_methods_names_both_where_it_answers_another(client: TestClient) -> None:
    refused = client.put("/mutes")
    assert refused.status_code == 405
    assert refused.headers["Allow"] == "GET, HEAD, POST"
