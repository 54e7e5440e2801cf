"""The watch list through the API: who may change it, what it takes, what it has seen."""

import csv
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from deltalake import DeltaTable
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application
from tests.support.hostile_requests import WATCHING, Hostile
from tests.support.moved_lake import append_movements, movement
from tests.support.raw_lake import append_rows
from tests.support.scored_lake import NOW
from tests.support.watch_lists import ANN, BOB

from core.casework import CaseworkStore
from core.lake import ORIGIN_PROPERTY
from core.settings import ApiSettings
from core.watch_list import MAX_ENTRIES

KEYS = """
[alice]
key = "alice-0123456789abcdef"
permissions = ["read", "watch"]

[bob]
key = "bob-0123456789abcdef"
permissions = ["read", "mark"]
"""
Json = dict[str, Any]


@pytest.fixture
def casework(tmp_path: Path) -> str:
    return str(tmp_path / "casework")


@pytest.fixture
def client(lake: str, casework: str) -> TestClient:
    return TestClient(application(FixedFollower(), lake=lake, casework=casework))


def entry(text: str = ANN, **changes: Any) -> Json:
    return {"entry": text, "name": "Ann", "reason": "asked for"} | changes


def put(client: TestClient, *entries: Json, **more: Any) -> Json:
    body = {"entries": list(entries), "author": "Eve"} | more
    answer = client.post("/watch-list", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def listed(client: TestClient, **parameters: Any) -> list[str]:
    answer = client.get("/watch-list", params=parameters)
    assert answer.status_code == 200, answer.text
    return [each["entry"] for each in answer.json()["entries"]]


def test_what_is_put_on_the_list_is_there_with_who_and_when(client: TestClient) -> None:
    assert put(client, entry(severity="high"), entry(BOB.upper())) == {
        **{"added": 2, "changed": 0, "unchanged": 0, "total": 2, "warnings": []}
    }
    assert put(client, entry(), entry(BOB))["changed"] == 1
    answer = client.get("/watch-list").json()
    assert (answer["matching"], answer["total"]) == (2, 2)
    assert answer["entries"][0] | {"changed_at": ""} == entry(
        severity="medium", kind="address", author="Eve", changed_at=""
    )


def test_an_empty_list_is_a_list(client: TestClient) -> None:
    assert listed(client) == []
    assert client.get("/watch-list/history", params={"entry": ANN}).json() == {"changes": []}
    assert client.get("/watch-list/seen").json()["seen"] == []
    assert client.get("/watch-list.csv").text.startswith("entry,")


def test_the_list_is_searched_and_paged(client: TestClient) -> None:
    put(client, entry(name="Ann of A"), entry(BOB, reason="Théft"), entry("6a0101"))
    assert listed(client, search="ann OF") == [ANN]
    assert listed(client, search="THÉFT") == [BOB]
    assert listed(client, search="BC1Q") == [BOB]
    assert listed(client, limit=1, offset=1) == ["6a0101"]
    assert listed(client, search="a(") == []


def test_what_is_removed_is_gone_and_its_history_stays(client: TestClient) -> None:
    put(client, entry())
    answer = client.delete(f"/watch-list/{ANN}", params={"author": "Mallory"})
    assert answer.json() == {"removed": ANN, "total": 0}
    assert listed(client) == []
    assert client.delete(f"/watch-list/{ANN}", params={"author": "M"}).status_code == 404
    put(client, entry(name="Ann again"))
    changes = client.get("/watch-list/history", params={"entry": ANN}).json()["changes"]
    assert [(each["action"], each["author"]) for each in changes] == [
        *(("added", "Eve"), ("removed", "Mallory"), ("added", "Eve"))
    ]


def test_another_method_is_answered_with_those_of_all_routes_of_the_path(
    client: TestClient,
) -> None:
    for path, methods in {
        "/watch-list": "GET, HEAD, POST",
        "/watch-list/seen": "GET, HEAD",
        f"/watch-list/{ANN}": "DELETE",
    }.items():
        answer = client.put(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)
    gone = client.delete(f"/watch-list/{ANN}", params={"author": "Eve"})
    assert gone.json()["detail"] == "This entry is not on the list."
    assert client.get("/nothing").json()["detail"].startswith("There is nothing at this path")


def test_somebody_must_say_who_changes_it(client: TestClient) -> None:
    answer = client.post("/watch-list", json={"entries": [entry()]})
    assert (answer.status_code, answer.json()["detail"]) == (422, "author: say who does this.")
    assert client.delete(f"/watch-list/{ANN}").status_code == 422
    assert listed(client) == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"entry": "no address!"}, "entries.0.entry"),
        ({"severity": "urgent"}, "entries.0.severity"),
        ({"name": "a\nb"}, "entries.0.name"),
        ({"more": 1}, "entries.0.more"),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, wrong: Json, field: str) -> None:
    answer = client.post("/watch-list", json={"entries": [entry(**wrong)], "author": "Eve"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 422),
        (b'{"entries":[]}', 422),
        (b'{"entries":' + b"[" * 100_000, 400),
        (b'{"entries":[{"entry":"\\ud800","name":"a","reason":"b"}]}', 400),
        (b'{"entries":[{"entry":NaN}]}', 422),
        (b" " * 3_000_000, 413),
    ],
)
def test_a_body_that_is_none_is_refused(client: TestClient, body: bytes, status: int) -> None:
    answer = client.post("/watch-list", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (status, status)


def import_file(client: TestClient, text: str | bytes, **parameters: Any) -> Any:
    return client.post(
        "/watch-list/import",
        content=text,
        params={"author": "Eve"} | parameters,
        headers={"Content-Type": "text/csv"},
    )


def test_a_public_list_is_one_commit(client: TestClient, casework: str) -> None:
    text = f"{ANN}\n{BOB}\n{ANN[:-1]}J\n"
    answer = import_file(client, text, name="Sanctioned", severity="critical").json()
    assert (answer["added"], answer["total"]) == (3, 3)
    assert answer["warnings"] == [
        f"{ANN[:-1]}J: its checksum is wrong, so no transaction can have it; is it mistyped?"
    ]
    store = CaseworkStore(casework, "simulated")
    table = store.table("watch_list")
    assert table is not None
    commits = table.version()
    assert (
        import_file(client, text, name="Sanctioned", severity="critical").json()["unchanged"] == 3
    )
    table.update_incremental()
    assert table.version() == commits


def test_a_file_with_bad_lines_changes_nothing_and_names_each(client: TestClient) -> None:
    answer = import_file(client, f"entry,name\n{ANN},a\nno!,b\n{BOB},=1+1\n{BOB},\x07\n")
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["detail"].startswith("Nothing is changed. Line 3: entry: it is not an address")
    assert [each["field"] for each in problem["errors"]] == ["line 3", "line 5"]
    assert listed(client) == []


def test_a_file_that_is_none_is_refused(client: TestClient) -> None:
    assert import_file(client, b"\xff\xfe").status_code == 400
    assert import_file(client, "\n# nothing\n").status_code == 422
    assert client.post("/watch-list/import", json={}).status_code == 415
    simple = {"Content-Type": "text/plain"}  # a foreign page's browser sends it unasked
    refused = client.post("/watch-list/import?author=Eve", content=ANN, headers=simple)
    assert refused.status_code == 415


def test_the_export_opens_without_formulas_and_is_read_again(client: TestClient) -> None:
    put(client, entry(name="=1+1"), entry(BOB, reason="-2", severity="low"))
    text = client.get("/watch-list.csv").text
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert import_file(client, text).json()["unchanged"] == 2


def test_a_hundred_thousand_entries_are_taken_in_one_file(client: TestClient) -> None:
    text = "\n".join(["", *(f"1{number:030}" for number in range(100_000))])
    assert import_file(client, text).json()["added"] == 100_000
    assert listed(client, search="99999", limit=1) == [f"1{99_999:030}"]
    assert import_file(client, text.replace("\n1", "\n3")[1:]).json()["total"] == MAX_ENTRIES
    full = client.post("/watch-list", json={"entries": [entry()], "author": "Eve"})
    assert (full.status_code, full.json()["detail"][-21:]) == (
        422,
        f"than {MAX_ENTRIES:,} entries.",
    )


@pytest.fixture
def keyed(lake: str, casework: str, tmp_path: Path) -> TestClient:
    keys = tmp_path / "keys.toml"
    keys.write_text(KEYS)
    settings = ApiSettings(_env_file=None, api_keys_file=keys)
    return TestClient(application(FixedFollower(), settings, lake=lake, casework=casework))


def test_only_a_key_with_the_permission_changes_the_list(keyed: TestClient) -> None:
    alice, bob = ({"X-API-Key": f"{name}-0123456789abcdef"} for name in ("alice", "bob"))
    body = {"entries": [entry()]}
    assert keyed.post("/watch-list", json=body).status_code == 401
    refused = keyed.post("/watch-list", json=body, headers=bob)
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "This key has no permission to watch.",
    )
    assert keyed.post("/watch-list", json=body, headers=alice).status_code == 200
    assert keyed.delete(f"/watch-list/{ANN}", headers=bob).status_code == 403
    assert import_file(keyed, ANN).status_code == 401
    page = keyed.get("/watch-list", headers=bob).json()
    assert page["entries"][0]["author"] == "alice"


def test_the_document_says_which_permission_a_route_needs(keyed: TestClient) -> None:
    paths = keyed.get("/openapi.json").json()["paths"]
    assert paths["/watch-list"]["post"]["security"] == [{"key": ["watch"]}]
    assert paths["/watch-list"]["get"]["security"] == [{"key": ["read"]}]
    assert "permission `watch`" in paths["/watch-list/{entry}"]["delete"]["description"]
    for path in ("/watch-list", "/predict", "/anomalies/recent"):
        assert all("403" in each["responses"] for each in paths[path].values())
    assert "403" not in paths["/health"]["get"]["responses"]


@pytest.fixture
def moved(lake: str) -> None:
    def minutes_ago(minutes: int) -> datetime:
        return NOW - timedelta(minutes=minutes)

    rows = [
        movement(ANN, "a1", minutes_ago(5), 7),
        movement(ANN, "a1", minutes_ago(5), 7),  # there twice, after a crash
        movement(ANN, "a1", minutes_ago(5), 8, position=1),
        movement(ANN, "a1", minutes_ago(5), 30, spent=True),
        movement(BOB, "b2", minutes_ago(2), 9),
        movement(ANN, "c3", minutes_ago(4 * 24 * 60), 1),
        movement("1other", "d4", minutes_ago(1), 1),
    ]
    append_movements(lake, rows)


def seen(client: TestClient, **parameters: Any) -> list[tuple[str, str, int]]:
    answer = client.get("/watch-list/seen", params=parameters)
    assert answer.status_code == 200, answer.text
    return [(e["transaction_hash"], e["what"], e["value"]) for e in answer.json()["seen"]]


@pytest.mark.usefixtures("moved")
def test_what_was_seen_before_it_was_on_the_list_is_told_at_once(client: TestClient) -> None:
    put(client, entry(), entry(BOB, name="Bob", severity="low"))
    deeds = {("a1", "was paid", 15), ("a1", "paid", 30)}
    everything = seen(client, days=3)
    assert everything[0] == ("b2", "was paid", 9)
    assert set(everything[1:]) == deeds
    assert set(seen(client, days=3, entry=ANN)) == deeds
    assert seen(client, days=5, entry=ANN)[-1] == ("c3", "was paid", 1)
    assert seen(client, entry="1other") == [("d4", "was paid", 1)]
    answer = client.get("/watch-list/seen", params={"limit": 1, "days": 3}).json()
    assert (answer["more"], len(answer["seen"])) == (True, 1)
    assert (answer["seen"][0]["name"], answer["seen"][0]["severity"]) == ("Bob", "low")


@pytest.mark.usefixtures("moved")
def test_a_long_list_is_looked_up_in_its_table(client: TestClient) -> None:
    import_file(client, "".join(f"1{number:030}\n" for number in range(200)))
    put(client, entry(), entry(BOB))
    client.delete(f"/watch-list/{BOB}", params={"author": "Eve"})
    assert set(seen(client, days=3)) == {("a1", "was paid", 15), ("a1", "paid", 30)}


def test_a_transaction_on_the_list_is_seen_too(client: TestClient, lake: str) -> None:
    append_rows(lake, np.full((3, 7), 500), NOW - timedelta(hours=1))
    name = f"{1:064x}"
    put(client, entry(name))
    assert seen(client) == [(name, "seen", 500)]
    assert seen(client, entry=f"{2:064x}") == [(f"{2:064x}", "seen", 500)]


def test_a_list_of_the_other_origin_and_a_broken_one_are_answered_with_503(
    lake: str, casework: str, client: TestClient
) -> None:
    put(client, entry())
    for file in Path(casework).rglob("*.parquet"):
        file.write_bytes(b"")
    other = TestClient(application(FixedFollower(), lake=lake, casework=casework))
    for path in ("/watch-list", "/watch-list.csv", "/watch-list/seen"):
        assert other.get(path).status_code == 503
    DeltaTable(f"{casework}/watch_list").alter.set_table_properties(
        {ORIGIN_PROPERTY: "live"}, raise_if_not_exists=False
    )
    answer = other.get("/watch-list")
    assert answer.status_code == 503
    assert "holds live data" in answer.json()["detail"]


@pytest.mark.slow
def test_no_hostile_request_is_an_error_of_the_service(lake: str, casework: str) -> None:
    app = application(FixedFollower(), lake=lake, casework=casework)
    client = TestClient(app, raise_server_exceptions=False)

    @hypothesis.settings(
        max_examples=400, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(WATCHING)
    def send(request: Hostile) -> None:
        headers = {"Content-Type": request.content_type}
        answer = client.request(request.method, request.path, content=request.body, headers=headers)
        assert answer.status_code < 500, answer.text

    send()
