import asyncio
import shutil
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Semaphore

import pyarrow as pa
import pytest
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application
from tests.support.asgi_calls import Call, send_call
from tests.support.casework_rows import a_mute, add_mute
from tests.support.delta_tables import cut_off_checkpoint, write_raw
from tests.support.scored_lake import NOW, REASON, ROWS, append_scored, scored_row

from api.application import create_app
from api.routes.anomalies import ScoredTable
from api.schemas import Anomaly
from core.casework import CaseworkStore
from core.settings import ApiSettings
from core.tables import SCORED_TRANSACTIONS
from monitoring.api_metrics import ApiMetrics
from monitoring.prometheus_metrics import new_registry


@pytest.fixture
def client(lake: str) -> TestClient:
    append_scored(lake, ROWS)
    return TestClient(application(FixedFollower(), lake=lake))


def hashes(client: TestClient, **parameters: str | float) -> list[str]:
    answer = client.get("/anomalies/recent", params=parameters)
    assert answer.status_code == 200, answer.text
    return [each["transaction_hash"] for each in answer.json()["anomalies"]]


def test_the_flagged_of_the_last_day_come_newest_first(client: TestClient) -> None:
    assert hashes(client) == ["newest", "first"]


def test_since_reaches_further_back_or_less(client: TestClient) -> None:
    earlier = (NOW - timedelta(days=4)).isoformat()
    assert hashes(client, since=earlier) == ["newest", "first", "old"]
    assert hashes(client, since=(NOW - timedelta(hours=1)).isoformat()) == ["newest"]


def test_a_minimum_score_asks_for_others_than_the_flagged(client: TestClient) -> None:
    assert hashes(client, minimum_score=0.3) == ["newest", "ordinary", "first"]
    assert hashes(client, minimum_score=0.7) == ["first"]


def test_a_coinbase_is_never_among_the_most_unusual(client: TestClient, lake: str) -> None:
    coinbase = scored_row("coinbase", timedelta(seconds=9), 0.95) | {"pattern": "coinbase"}
    numbers = {"inputs_count": 1, "input_value": 0, "fee": 0, "is_anomaly": False}
    append_scored(lake, [coinbase | numbers | {"flagged_by": None}])
    assert hashes(client, minimum_score=0.3) == ["newest", "ordinary", "first"]


def test_what_flagged_is_asked_for(client: TestClient, lake: str) -> None:
    by_rule = scored_row("ruled", timedelta(seconds=9), 0.2)
    by_rule |= {"is_anomaly": True, "flagged_by": "rule", "fee": 90_000, "model_version": "rules"}
    append_scored(lake, [by_rule])
    assert hashes(client, flagged_by="rule") == ["ruled"]
    assert hashes(client, flagged_by="model") == ["newest", "first"]
    assert hashes(client, flagged_by="both") == []
    assert hashes(client) == ["ruled", "newest", "first"]
    answer = client.get("/anomalies/recent").json()["anomalies"][0]
    assert (answer["flagged_by"], answer["market_fee_rate"]) == ("rule", 15.5)
    assert "By rule, its fee is above" in answer["explanation"]
    assert client.get("/anomalies/recent", params={"flagged_by": "me"}).status_code == 422


def test_a_table_of_an_earlier_release_is_read(lake: str) -> None:
    new = {"flagged_by", "market_fee_rate"}
    earlier = pa.schema([field for field in SCORED_TRANSACTIONS if field.name not in new])
    append_scored(lake, ROWS, schema=earlier)
    client = TestClient(application(FixedFollower(), lake=lake))
    assert hashes(client) == ["newest", "first"]
    assert hashes(client, flagged_by="model") == []
    answer = client.get("/anomalies/recent").json()["anomalies"][0]
    assert (answer["flagged_by"], answer["market_fee_rate"]) == (None, None)


def test_the_limit_keeps_the_newest(client: TestClient) -> None:
    assert hashes(client, limit=1) == ["newest"]


def test_each_is_explained_with_its_numbers(client: TestClient) -> None:
    anomaly = client.get("/anomalies/recent").json()["anomalies"][0]
    assert anomaly["explanation"].startswith("Unusual")
    assert anomaly["reasons"] == [REASON]
    assert anomaly["fee"] == 100 and anomaly["fee_rate"] == 4.0
    assert datetime.fromisoformat(anomaly["event_time"]) == NOW - timedelta(minutes=1)


def test_what_the_stream_adds_is_seen_at_once(client: TestClient, lake: str) -> None:
    assert hashes(client) == ["newest", "first"]
    append_scored(lake, [scored_row("newer", timedelta(seconds=5), 0.8)])
    assert hashes(client) == ["newer", "newest", "first"]


def test_a_lake_without_the_table_has_no_anomalies(lake: str) -> None:
    assert hashes(TestClient(application(FixedFollower(), lake=lake))) == []


def test_a_lake_of_the_other_origin_is_refused(lake: str) -> None:
    append_scored(lake, ROWS, origin="live")
    answer = TestClient(application(FixedFollower(), lake=lake)).get("/anomalies/recent")
    assert answer.status_code == 503
    assert "holds live data" in answer.json()["detail"]


def test_a_damaged_lake_is_answered_with_503(client: TestClient, lake: str) -> None:
    for file in Path(lake).rglob("*.parquet"):
        file.write_bytes(b"")
    answer = client.get("/anomalies/recent")
    assert (answer.status_code, answer.json()["status"]) == (503, 503)


def test_a_damaged_log_is_answered_with_the_remedy(client: TestClient, lake: str) -> None:
    cut_off_checkpoint(Path(lake, "scored_transactions"))
    answer = client.get("/anomalies/recent")
    assert answer.status_code == 503
    assert "restart the stream, which repairs it" in answer.json()["detail"]


@pytest.mark.parametrize("commits", [0, 1, 4], ids=["deleted", "shorter", "longer"])
def test_a_table_that_was_replaced_is_read_without_a_restart(
    client: TestClient, lake: str, commits: int
) -> None:
    for _ in range(2):
        append_scored(lake, ROWS)
    assert "newest" in hashes(client)
    shutil.rmtree(lake)
    for number in range(commits):
        append_scored(lake, [scored_row(f"new{number}", timedelta(seconds=number), 0.8)])
    assert hashes(client) == [f"new{number}" for number in range(commits)]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"since": "yesterday"}, "since"),
        ({"since": "1700000000"}, "since"),
        ({"since": "2026-11-23T10:00:00"}, "since"),
        ({"minimum_score": "nan"}, "minimum_score"),
        ({"minimum_score": "1.5"}, "minimum_score"),
    ],
)
def test_a_wrong_parameter_is_named(
    client: TestClient, parameters: dict[str, str], field: str
) -> None:
    answer = client.get("/anomalies/recent", params=parameters)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [each["field"] for each in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+23:59", "1584-07-08T13:57:24-04:02"])
def test_a_time_before_bitcoin_is_its_first_day(client: TestClient, since: str) -> None:
    assert hashes(client, since=since) == ["newest", "first", "old"]


def test_a_time_far_ahead_has_nothing_yet(client: TestClient) -> None:
    assert hashes(client, since="9999-12-31T23:59:59-23:59") == []


def test_what_a_mute_keeps_from_being_news_says_so(lake: str, tmp_path: Path) -> None:
    paid, free, quiet = (digit * 64 for digit in "abc")
    rows = [scored_row(name, timedelta(minutes=n), 0.7) for n, name in enumerate([paid, free])]
    append_scored(lake, [*rows, scored_row(quiet, timedelta(minutes=5), 0.4)])
    write_raw(Path(lake), *(row | {"input_addresses": ["payer"]} for row in rows[:1]))
    store = CaseworkStore(str(tmp_path / "casework"), "simulated")
    lasts = {"created_at": NOW - timedelta(hours=1), "until": NOW + timedelta(days=1)}
    mute = a_mute(address="payer", **lasts)
    client = TestClient(application(FixedFollower(), lake=lake, casework=store.root))

    def muted() -> dict[str, str | None]:
        answer = client.get("/anomalies/recent", params={"minimum_score": 0.1}).json()
        return {each["transaction_hash"]: each["muted_by"] for each in answer["anomalies"]}

    add_mute(store, mute)
    assert muted() == {paid: mute.id, free: None, quiet: None}
    add_mute(store, mute._replace(ended_at=NOW - timedelta(minutes=1)))
    client = TestClient(application(FixedFollower(), lake=lake, casework=store.root))
    assert muted() == {paid: None, free: None, quiet: None}


class StuckTable(ScoredTable):
    """Its reads last until `release` is set."""

    def __init__(self) -> None:
        super().__init__("nowhere", "simulated")
        self.begun, self.release = Semaphore(0), Event()

    def recent(self, *_: object) -> list[Anomaly]:
        self.begun.release()
        self.release.wait(30)
        return []


def test_a_cancelled_read_occupies_its_thread_until_it_ends() -> None:
    table = StuckTable()
    metrics, settings = ApiMetrics(new_registry("api")), ApiSettings(_env_file=None)
    app = create_app(
        FixedFollower(), table, CaseworkStore("nowhere", "simulated"), metrics, settings
    )

    async def cancelled() -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(send_call(app, Call("/anomalies/recent", method="GET")), 0.2)

    async def run() -> int:
        await asyncio.gather(*(cancelled() for _ in range(6)))
        table.release.set()
        answer = await send_call(app, Call("/anomalies/recent", method="GET"))
        return answer.status

    assert asyncio.run(run()) == 200
    begun = 0
    while table.begun.acquire(blocking=False):
        begun += 1
    assert begun == 2, "one read at once and the last one; the others were cancelled in the queue"
