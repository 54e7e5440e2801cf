import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
import requests
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application
from tests.support.api_process import api_process, served, wait_for
from tests.support.casework_rows import a_mute, add_mute
from tests.support.delta_tables import write, write_raw
from tests.support.scored_lake import NOW, append_scored, scored_row

from api import connection, flag_feed
from core.casework import CaseworkStore
from core.settings import ApiSettings
from core.tables import WATCHED

HASH = "{:064x}".format
SECONDS = 30
FAT = [{"feature": "f" * 200_000, "value": 1, "usual_low": 1, "usual_high": 1, "contribution": 1}]
"""Reasons that make an event of 200 kB."""


class Event(NamedTuple):
    name: str
    id: str
    data: dict[str, Any]

    @property
    def number(self) -> int:
        return int(self.data["transaction_hash"], 16)


class Stream:
    """A client that reads one event after another."""

    def __init__(self, url: str, headers: dict[str, str] | None = None, **asked: str) -> None:
        self.answer = requests.get(
            f"{url}/anomalies/stream", params=asked, headers=headers, stream=True, timeout=SECONDS
        )
        self._lines = self.answer.iter_lines(chunk_size=None)

    def block(self) -> dict[str, str]:
        """The fields of the next block; a comment has no name."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line:
                return fields
            name, _, value = line.decode().partition(":")
            fields[name] = value.strip()
        raise EOFError

    def event(self) -> Event:
        while "event" not in (fields := self.block()):
            pass
        return Event(fields["event"], fields.get("id", ""), json.loads(fields["data"]))

    def numbers(self, count: int) -> list[int]:
        return [self.event().number for _ in range(count)]

    def close(self) -> None:
        self.answer.close()


def flag(lake: str, *numbers: int, **fields: object) -> None:
    """Commit flagged rows; a later number was scored later."""
    rows = [scored_row(HASH(n), timedelta(hours=2) - timedelta(seconds=n), 0.9) for n in numbers]
    append_scored(lake, [row | fields for row in rows])


def watch(lake: str, *numbers: int) -> None:
    """Commit watched rows, as `flag` does flagged ones."""
    match = {"entry": "ann", "name": "Ann", "severity": "high", "reason": "a test", "what": "paid"}
    rows = [scored_row(HASH(n), timedelta(hours=2) - timedelta(seconds=n), 0.1) for n in numbers]
    full = [
        row
        | {"watched": [match | {"value": 5}], "watched_count": 1, "watch_severity": "high"}
        | {"replaces": [], "matched_at": row["scored_at"]}
        for row in rows
    ]
    write(Path(lake), "watched", pa.Table.from_pylist(full, WATCHED))


@contextmanager
def service(lake: str, folder: Path, **limits: Any) -> Iterator[str]:
    settings = ApiSettings(_env_file=None, **limits)
    casework = str(folder / "casework")
    app = application(FixedFollower(), settings, lake, casework=casework)
    with served(app, folder / "log") as url:
        yield url


@pytest.fixture
def url(lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(flag_feed, "POLL_SECONDS", 0.05)
    with service(lake, tmp_path) as url:
        yield url


def metric(url: str, name: str) -> float:
    found = re.search(rf"^bitcoin_api_{name} (\S+)", requests.get(f"{url}/metrics").text, re.M)
    assert found is not None
    return float(found[1])


def test_what_is_flagged_from_now_on_comes_as_it_is_committed(lake: str, url: str) -> None:
    flag(lake, 1, 2)
    with closing(Stream(url)) as stream:
        stream.block()  # the client has been counted in
        append_scored(lake, [scored_row(HASH(9), timedelta(0), 0.1)])
        flag(lake, 3)
        event = stream.event()
        assert (event.name, event.number, event.data["is_anomaly"]) == ("flagged", 3, True)
        flag(lake, 5, 4)
        assert stream.numbers(2) == [4, 5]


def test_head_is_answered_at_once_and_keeps_no_place_and_no_connection(
    lake: str, tmp_path: Path
) -> None:
    with service(lake, tmp_path, api_stream_clients=1) as url, requests.Session() as kept:
        for _ in range(2):
            head = kept.head(f"{url}/anomalies/stream", timeout=SECONDS)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-type"].startswith("text/event-stream")
            assert kept.get(f"{url}/health", timeout=SECONDS).ok
        assert metric(url, "streams") == 0
        with closing(Stream(url)) as stream:
            assert stream.answer.status_code == 200


def test_the_headers_let_no_proxy_hold_events_back(url: str) -> None:
    with closing(Stream(url)) as stream:
        headers = stream.answer.headers
        assert headers["content-type"].startswith("text/event-stream")
        assert headers["x-accel-buffering"] == "no"
        assert headers["cache-control"] == "no-store"
        assert "content-length" not in headers


@pytest.mark.parametrize("by_header", [True, False])
def test_a_client_continues_after_the_last_event_that_it_has(
    lake: str, url: str, by_header: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flag_feed, "ROWS_AT_ONCE", 4)
    flag(lake, 1, 2)
    with closing(Stream(url)) as stream:
        stream.block()
        flag(lake, 3)
        last = stream.event()
    flag(lake, *range(4, 20))
    old = {"after": f"1-{HASH(1)}-0-"} if by_header else {"after": last.id}
    headers = {"Last-Event-ID": last.id} if by_header else None
    with closing(Stream(url, headers, **old)) as stream:
        assert stream.numbers(16) == list(range(4, 20))
        flag(lake, 20)
        assert stream.numbers(1) == [20]


def test_no_row_is_lost_at_equal_times_of_scoring(lake: str, url: str) -> None:
    same = scored_row(HASH(0), timedelta(hours=1), 0.9)
    append_scored(lake, [same | {"hash": HASH(n)} for n in range(6)])
    with closing(Stream(url, after=f"1-{HASH(0)}-0-")) as stream:
        events = [stream.event() for _ in range(6)]
    assert [event.number for event in events] == list(range(6))
    with closing(Stream(url, after=events[2].id)) as stream:
        assert stream.numbers(3) == [3, 4, 5]


def test_what_is_scored_late_comes_when_it_is_scored(lake: str, url: str) -> None:
    flag(lake, 1)
    with closing(Stream(url)) as stream:
        stream.block()
        late = scored_row(HASH(7), timedelta(days=3), 0.9)
        append_scored(lake, [late | {"scored_at": late["scored_at"] + timedelta(days=3)}])  # type: ignore[operator]
        assert stream.numbers(1) == [7]


def test_a_clock_that_was_ahead_hides_no_later_event(lake: str, url: str) -> None:
    def score(number: int) -> None:
        append_scored(lake, [scored_row(HASH(number), NOW - datetime.now(UTC), 0.9)])

    append_scored(lake, [scored_row(HASH(1), timedelta(hours=-5), 0.9)])
    with closing(Stream(url)) as stream:
        stream.block()
        score(2)
        seen = [stream.event() for _ in range(2)]
        append_scored(lake, [scored_row(HASH(3), timedelta(hours=-4), 0.9)])
        seen += [stream.event()]
        score(4)
        seen += [stream.event()]
    assert {event.number for event in seen[:2]} == {1, 2}, "what was ahead comes once too"
    assert [event.number for event in seen[2:]] == [3, 4]
    with closing(Stream(url, after=seen[2].id)) as stream:
        score(5)
        assert {stream.event().number for _ in range(4)} == {1, 3, 4, 5}, "none is left out"


def test_events_are_filtered(lake: str, url: str) -> None:
    with (
        closing(Stream(url, flagged_by="rule,both")) as by_rule,
        closing(Stream(url, pattern="dust_fan_out,none")) as shaped,
    ):
        by_rule.block(), shaped.block()
        flag(lake, 1, flagged_by="rule", patterns=["fee_overpaid"], pattern="fee_overpaid")
        flag(lake, 2, flagged_by="model", patterns=["dust_fan_out"], pattern="dust_fan_out")
        flag(lake, 3, flagged_by="both", patterns=[], pattern=None)
        assert by_rule.numbers(2) == [1, 3]
        assert shaped.numbers(2) == [2, 3]


def test_what_is_watched_comes_too_and_each_kind_is_continued(lake: str, url: str) -> None:
    flag(lake, 1, 5)
    watch(lake, 2)
    with closing(Stream(url)) as stream, closing(Stream(url, kind="watched")) as watching:
        stream.block(), watching.block()
        watch(lake, 3)
        first = stream.event()
        assert (first.name, first.number, first.data["watch_severity"]) == ("watched", 3, "high")
        assert first.data["explanation"].startswith("Watched: Ann")
        flag(lake, 6)
        second = stream.event()
        assert (second.name, second.number) == ("flagged", 6)
        watch(lake, 4)
        assert watching.numbers(2) == [3, 4]
    flag(lake, 7, 8)
    watch(lake, 6)
    for after, expected in (
        (
            first.id,
            {("flagged", 6), ("flagged", 7), ("flagged", 8), ("watched", 4), ("watched", 6)},
        ),
        (second.id, {("flagged", 7), ("flagged", 8), ("watched", 4), ("watched", 6)}),
    ):
        with closing(Stream(url, after=after)) as stream:
            events = [stream.event() for _ in expected]
        assert {(event.name, event.number) for event in events} == expected
    with closing(Stream(url, after=events[-1].id, flagged_by="model")) as stream:
        watch(lake, 9)
        flag(lake, 9)
        event = stream.event()
        assert (event.name, event.number) == ("flagged", 9)


def test_events_name_the_mute_in_force_and_can_be_left_out_for_it(
    lake: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.mutes.RELOAD", timedelta(0))
    store = CaseworkStore(str(tmp_path / "casework"), "simulated")
    shape = {"pattern": "dust", "patterns": ["dust"]}
    mute = a_mute(pattern="dust", created_at=NOW, until=NOW + timedelta(days=1))
    with closing(Stream(url)) as stream, closing(Stream(url, muted="false")) as news:
        stream.block(), news.block()
        flag(lake, 1, **shape)
        first = stream.event()
        add_mute(store, mute)
        flag(lake, 2, **shape)
        muted = stream.event()
        flag(lake, 3)
        assert [first.data["muted_by"], muted.data["muted_by"]] == [None, mute.id]
        assert stream.event().data["muted_by"] is None
        assert news.numbers(2) == [1, 3]
    begin = f"1-{HASH(0)}-0-"
    with closing(Stream(url, after=begin)) as stream:
        assert [stream.event().data["muted_by"] for _ in range(3)] == [mute.id, mute.id, None]
    with closing(Stream(url, after=begin, muted="false")) as news:
        assert news.numbers(1) == [3]
    add_mute(store, mute._replace(ended_at=datetime.now(UTC)))
    with closing(Stream(url, after=begin)) as stream:
        assert [stream.event().data["muted_by"] for _ in range(3)] == [None] * 3


def test_a_mute_of_who_pays_holds_for_events_too(
    lake: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.mutes.RELOAD", timedelta(0))
    mute = a_mute(address="payer", created_at=NOW, until=NOW + timedelta(days=1))
    add_mute(CaseworkStore(str(tmp_path / "casework"), "simulated"), mute)
    with closing(Stream(url)) as stream:
        stream.block()
        for number, payer in ((1, "payer"), (2, "somebody")):
            row = scored_row(HASH(number), timedelta(hours=2) - timedelta(seconds=number), 0.9)
            write_raw(Path(lake), row | {"input_addresses": [payer]})
            flag(lake, number)
        assert [stream.event().data["muted_by"] for _ in range(2)] == [mute.id, None]


def test_a_comment_comes_while_there_is_no_news(
    lake: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flag_feed, "HEARTBEAT_SECONDS", 0.1)
    with closing(Stream(url, pattern="dust_fan_out")) as stream:
        assert stream.block() == {"retry": "3000"}
        assert stream.block() == {"": "no news"}
        flag(lake, 1)
        assert stream.block() == {"": "no news"}


def test_a_client_too_many_is_refused_and_a_place_becomes_free(lake: str, tmp_path: Path) -> None:
    with service(lake, tmp_path, api_stream_clients=1) as url:
        with closing(Stream(url)):
            refused = Stream(url).answer
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json()["detail"] == "1 clients listen already: try again shortly."
            assert metric(url, "streams") == 1
        wait_for(lambda: metric(url, "streams") == 0, tmp_path / "log", SECONDS)
        with closing(Stream(url)) as stream:
            assert stream.answer.status_code == 200


def test_streams_take_no_place_of_other_requests(lake: str, tmp_path: Path) -> None:
    with (
        service(lake, tmp_path, api_max_requests=1) as url,
        closing(Stream(url)),
        closing(Stream(url)) as second,
    ):
        assert second.answer.status_code == 200
        assert requests.get(f"{url}/anomalies", timeout=SECONDS).status_code == 200


def test_a_stream_outlasts_the_limit_of_a_request(
    lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flag_feed, "HEARTBEAT_SECONDS", 0.2)
    with (
        service(lake, tmp_path, api_request_seconds=0.5) as url,
        closing(Stream(url)) as stream,
    ):
        blocks = [stream.block() for _ in range(16)]  # 3 s; the limit is enforced every second
        assert blocks[1:] == [{"": "no news"}] * 15


def test_a_slow_client_is_told_and_ended(
    lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flag_feed, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(flag_feed, "KEPT_EVENTS", 20)
    with service(lake, tmp_path) as url:
        flag(lake, 1)
        with closing(Stream(url)) as stream:
            stream.block()
            for start in range(2, 122, 10):  # more than the sockets hold of what nobody reads
                flag(lake, *range(start, start + 10), reasons=FAT)
                announced = start + 8
                wait_for(
                    lambda: metric(url, "stream_events_total") >= announced,  # noqa: B023
                    tmp_path / "log",
                    SECONDS,
                )
            events = [stream.event()]
            while events[-1].name == "flagged":
                events.append(stream.event())
            assert events[-1].data["reason"] == "slow"
            assert len(events) < 121
            with pytest.raises(EOFError):
                stream.block()
        with closing(Stream(url, after=events[-2].id)) as stream:
            assert stream.event().number == events[-2].number + 1


def test_a_connection_lasts_its_time(lake: str, tmp_path: Path) -> None:
    flag(lake, 1)
    with service(lake, tmp_path, api_stream_seconds=0.1) as url:
        with closing(Stream(url, after=f"1-{HASH(0)}-0-")) as stream:
            assert stream.event().number == 1
            assert stream.event().data["reason"] == "time"
        ended = '{reason="time"}'
        assert f"bitcoin_api_streams_ended_total{ended} 1.0" in requests.get(f"{url}/metrics").text


def test_a_lake_of_the_other_origin_is_refused(lake: str) -> None:
    append_scored(lake, [scored_row(HASH(1), timedelta(0), 0.9)], origin="live")
    client = TestClient(application(FixedFollower(), lake=lake))
    for _ in range(2):
        answer = client.get("/anomalies/stream")
        assert answer.status_code == 503 and "holds live data" in answer.json()["detail"]


def test_a_lake_that_fails_in_the_meantime_is_read_again(lake: str, url: str) -> None:
    flag(lake, 1)
    with closing(Stream(url)) as stream:
        stream.block()
        log = sorted(Path(lake).glob("*/_delta_log/*.json"))
        following = log[-1].with_name(f"{len(log):020}.json")
        following.write_text("no commit")
        assert requests.get(f"{url}/anomalies", timeout=SECONDS).status_code in (200, 503)
        following.unlink()
        flag(lake, 2)
        assert stream.numbers(1) == [2]


@pytest.mark.parametrize(
    ("asked", "headers"),
    [
        ({"after": "1"}, {}),
        ({"after": f"{10**17}-{HASH(1)}-0-"}, {}),
        ({"after": f"-1-{HASH(1)}-0-"}, {}),
        ({}, {"Last-Event-ID": "'; DROP"}),
        ({"flagged_by": "me"}, {}),
        ({"pattern": "'"}, {}),
        ({"severity": "high"}, {}),
        ({"muted": "some"}, {}),
    ],
)
def test_a_wrong_parameter_is_a_problem(
    lake: str, asked: dict[str, str], headers: dict[str, str]
) -> None:
    client = TestClient(application(FixedFollower(), lake=lake))
    answer = client.get("/anomalies/stream", params=asked, headers=headers)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_service_closes_at_once_and_says_so(tmp_path: Path) -> None:
    with api_process(tmp_path, {}) as api, closing(Stream(api.url)) as stream:
        stream.block()
        api.process.send_signal(signal.SIGTERM)
        assert stream.event().data["reason"] == "restart"
        assert api.process.wait(10) == 0, "long before the limit of a request"


@pytest.mark.parametrize(("request_seconds", "unread_seconds"), [(1, 3_600), (3_600, 1)])
def test_a_client_that_reads_nothing_is_dropped(
    lake: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_seconds: float,
    unread_seconds: float,
) -> None:
    monkeypatch.setattr(flag_feed, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(connection, "MAX_UNREAD_SECONDS", unread_seconds)
    with service(lake, tmp_path, api_request_seconds=request_seconds) as url:
        parts = urlsplit(url)
        with socket.socket() as unread:
            unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            unread.connect((parts.hostname, parts.port))
            unread.sendall(b"GET /anomalies/stream HTTP/1.1\r\nHost: here\r\n\r\n")
            wait_for(lambda: metric(url, "streams") == 1, tmp_path / "log", SECONDS)
            flag(lake, *range(1, 60), reasons=FAT)
            wait_for(lambda: metric(url, "streams") == 0, tmp_path / "log", SECONDS)
