from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.dashboard_api import FakeApi
from tests.support.dashboard_backend import Backend, make_services

from dashboard.activity.filters import Filters
from dashboard.activity.page_text import PageText, page_text
from dashboard.lake.parts import Parts, source_silence
from dashboard.services import Services

NOW = datetime(2026, 11, 28, 14, 10, tzinfo=UTC)
REASON = "no route to blockchain.info"
REMEDY = "Set HTTPS_PROXY, or look at the network."


def silent(since: datetime) -> dict[str, Any]:
    return {"silent_since": since.timestamp(), "reason": REASON, "remedy": REMEDY}


def text_of(services: Services) -> PageText:
    services.recent.parts.check()
    services.recent.refresh()
    view = services.views.view(Filters(), "dark", "UTC")
    return page_text(view, Filters(), services.refresh_seconds)


def test_the_page_says_since_when_the_source_is_silent_why_and_what_to_do(
    tmp_path: Any, api: FakeApi
) -> None:
    api.source = silent(NOW - timedelta(minutes=8))
    services = make_services(tmp_path, api.url, parts={"producer": api.url}, clock=lambda: NOW)
    text = text_of(services)
    sentence = f"The source is silent since 14:02:00 UTC (8 min): {REASON}. {REMEDY}"
    assert text.state.word == "Source silent" and text.state.sentence == sentence
    assert text.notices == [sentence]
    assert text.empty["timeline"] == sentence
    assert text.tiles["pipeline"].number == "Source silent"
    assert "since 14:02:00 UTC" in text.tiles["pipeline"].note


def test_while_rows_arrive_a_silent_part_is_named_and_does_not_stop_the_page(
    backend: Backend,
) -> None:
    parts = {"stream": "http://127.0.0.1:9"}
    services = backend.services(parts=parts, clock=lambda: backend.now)
    text = text_of(services)
    assert (text.state.kind, text.state.word) == ("waiting", "Stream silent")
    assert "scored all the same" in text.tiles["pipeline"].note
    assert [(line.part, line.silent) for line in text.parts] == [("stream", True)]
    assert "The stream is silent since" in text.notices[0]
    assert "connection is refused" in text.notices[0] and "Start it" in text.notices[0]


@pytest.mark.parametrize("part", ["producer", "stream", "API", "trainer"])
def test_each_part_keeps_the_time_since_when_it_is_silent(part: str, api: FakeApi) -> None:
    times = iter(NOW + timedelta(minutes=minute) for minute in range(9))
    parts = Parts({part: api.url}, lambda: next(times))
    assert parts.check().silences == ()
    api.stop()
    first, second = parts.check().silences, parts.check().silences
    assert [silence.since for silence in (*first, *second)] == [NOW + timedelta(minutes=1)] * 2
    assert first[0].part == part and api.url in first[0].reason
    api.start()
    assert parts.check().silences == ()


@pytest.mark.parametrize(
    "body", [None, [], {}, {"source": None}, {"source": {}}, {"source": {"silent_since": None}}]
)
def test_a_source_that_answers_is_not_silent(body: Any) -> None:
    assert source_silence(body, NOW) is None


def test_a_producer_of_today_says_it_in_one_sentence() -> None:
    assert source_silence({"ready": True, "source": "answers"}, NOW) is None
    silence = source_silence({"ready": False, "source": "silent since …: timeout"}, NOW)
    assert silence is not None and "timeout" in silence.sentence(NOW)


@pytest.mark.parametrize("since", ["soon", 1e300, [], {}])
def test_a_time_that_is_none_is_read_as_now(since: Any) -> None:
    silence = source_silence({"source": {"silent_since": since, "reason": 5}}, NOW)
    assert silence is not None and silence.since == NOW
