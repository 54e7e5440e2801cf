import csv
import io
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests
from benchmarks.dashboard_served import refresh_body
from dash import no_update
from tests.support.dashboard_api import FakeApi
from tests.support.dashboard_backend import INPUTS, READ_OUT, Backend, http_client, make_services
from tests.support.dashboard_browser import serving

from dashboard import server
from dashboard.activity.filters import Filters
from dashboard.callbacks import activity_outputs
from dashboard.services import Services, Viewer


def test_the_page_names_no_other_host_and_forbids_any(services: Services) -> None:
    answer = http_client(services).get("/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    text = answer.get_data(as_text=True)
    assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
    assert "<title>Bitcoin Anomalies</title>" in text


def test_every_asset_of_the_page_is_served_from_here(services: Services) -> None:
    browser = http_client(services)
    for name in ("page.css", "page.js", "icon.svg", "dashAgGridFunctions.js"):
        with browser.get(f"/assets/{name}") as answer:
            assert answer.status_code == 200


def test_what_a_first_visit_transfers_is_compressed(services: Services) -> None:
    browser, transferred = http_client(services), 0
    page = browser.get("/").get_data(as_text=True)
    parts = re.findall(r'(?:src|href)="(/[^"]+[.](?:js|css)[^"]*)"', page)
    for path in ("/", "/_dash-layout", "/_dash-dependencies", *parts):
        with browser.get(path, headers={"Accept-Encoding": "gzip, br, zstd"}) as answer:
            transferred += len(answer.get_data())
            assert answer.headers.get("Content-Encoding") or path.startswith("/assets/"), path
    assert len(parts) > 10
    assert transferred < 2_300_000, "more than twelve seconds of a line of 1.5 Mbit/s"


def test_the_csv_holds_exactly_what_is_filtered(backend: Backend, services: Services) -> None:
    text = http_client(services).get("/export.csv?range=24h&flagged=1").get_data(as_text=True)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sorted(row["hash"] for row in rows) == sorted(backend.flagged)
    assert {row["is_anomaly"] for row in rows} == {"True"}


def test_the_metrics_have_rows_viewers_and_errors_from_the_start(services: Services) -> None:
    text = http_client(services).get("/metrics").get_data(as_text=True)
    assert "bitcoin_dashboard_cached_rows 6000.0" in text
    assert "bitcoin_dashboard_viewers 0.0" in text
    assert 'bitcoin_dashboard_errors_total{source="callback"} 0.0' in text


def test_a_callback_that_fails_sends_a_sentence_and_no_traceback(services: Services) -> None:
    browser = http_client(services)
    nonsense = [{"id": "threshold", "property": "drag_value", "value": "nonsense"}, *INPUTS[1:]]
    answer = browser.post("/_dash-update-component", json=READ_OUT | {"inputs": nonsense})
    text = answer.get_data(as_text=True)
    assert "Traceback" not in text and "TypeError" not in text
    assert "could not be updated" in text
    read = services.metrics.registry.get_sample_value
    assert read("bitcoin_dashboard_errors_total", {"source": "callback"}) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        json.dumps(READ_OUT | {"output": "nothing.children"}).encode(),
        json.dumps(READ_OUT | {"output": "tick.disabled"}).encode(),
        json.dumps(READ_OUT | {"outputs": []}).encode(),
        json.dumps(READ_OUT | {"outputs": {"id": "grid", "property": "rowData"}}).encode(),
        json.dumps(READ_OUT | {"inputs": INPUTS[:2]}).encode(),
        json.dumps(READ_OUT | {"inputs": 3}).encode(),
        json.dumps(READ_OUT | {"state": INPUTS}).encode(),
        json.dumps(READ_OUT | {"changedPropIds": 7}).encode(),
    ],
)
def test_a_body_that_no_page_sends_is_refused_with_a_sentence(
    services: Services, body: bytes
) -> None:
    browser = http_client(services)
    address = "/_dash-update-component"
    assert browser.post(address, json=READ_OUT).status_code == 200
    answer = browser.post(address, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_data(as_text=True).count("\n") == 1
    read = services.metrics.registry.get_sample_value
    assert read("bitcoin_dashboard_errors_total", {"source": "callback"}) == 0


def page(services: Services, address: str = "/") -> str:
    return http_client(services).get(address).get_data(as_text=True)


def text(html: str) -> str:
    return unescape(re.sub("<[^>]+>", " ", html))


def test_the_first_view_has_the_numbers_of_the_filters(
    backend: Backend, services: Services
) -> None:
    query = "?range=24h&fee_rate_max=20"
    html = page(services, f"/{query}")
    summary = services.views.view(Filters.from_query(query), "dark", "UTC").summary
    assert 0 < summary.transactions < len(backend.rows)
    assert f"{summary.transactions:,} pass the filters in the last 24 h" in text(html)
    assert f"of {summary.transactions:,}" in text(html)
    assert f'title="{summary.volume:,} sat"' in html
    assert re.search(r"checked>24h<", html)
    assert html.count('class="graph skeleton"') == 7


def test_no_id_stands_twice_on_the_page(services: Services) -> None:
    ids = re.findall(r'<div [^>]*id="([^"]+)"', page(services))
    assert ids == ["first-view", "react-entry-point"]


def test_only_the_activity_page_has_a_first_view(services: Services) -> None:
    assert 'id="first-view"' not in page(services, "/try")


def test_the_first_view_of_an_empty_lake_says_what_it_waits_for(
    tmp_path: Path, api: FakeApi
) -> None:
    assert "waiting for the producer" in text(page(make_services(tmp_path, api.url)))


def test_a_first_view_that_fails_is_counted_and_left_out(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = http_client(services)
    monkeypatch.setattr(server, "page_text", lambda *_: 1 / 0)
    html = client.get("/").get_data(as_text=True)
    assert "react-entry-point" in html and 'id="first-view"' not in html
    read = services.metrics.registry.get_sample_value
    assert read("bitcoin_dashboard_errors_total", {"source": "callback"}) == 1


def test_text_in_the_first_view_is_escaped(services: Services) -> None:
    client = http_client(services)
    services.recent.snapshot = replace(services.recent.snapshot, problem="<script>")
    html = client.get("/").get_data(as_text=True)
    assert "&lt;script&gt; What was read before is shown." in html


@pytest.mark.parametrize("path", ["/queue", "/queue/", "/case/7", "/address/bc1q", "/model"])
def test_a_page_is_answered_with_the_page(services: Services, path: str) -> None:
    assert "Bitcoin Anomalies" in page(services, path)


@pytest.mark.parametrize("path", ["/cases", "/queues/7", "/robots.txt"])
def test_an_address_without_a_page_is_refused_with_those_that_are(
    backend: Backend, path: str
) -> None:
    answer = http_client(backend.services(path_prefix="/bitcoin/")).get(path)
    assert answer.status_code == 404
    assert "/bitcoin/, /bitcoin/queue, " in answer.get_data(as_text=True)


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_a_probe_answers_get_and_head(services: Services, path: str) -> None:
    client = http_client(services)
    assert client.get(path).status_code == client.head(path).status_code == 200
    assert client.head(path).get_data() == b""


def test_it_is_not_ready_while_the_lake_cannot_be_read(services: Services) -> None:
    client = http_client(services)
    services.recent.snapshot = replace(services.recent.snapshot, problem="The disk is gone.")
    answer = client.get("/ready")
    assert answer.status_code == 503 and answer.json == {
        "ready": False,
        "faults": ["The disk is gone."],
    }


def test_a_password_guards_all_but_the_probes(backend: Backend) -> None:
    client = http_client(backend.services(password="correct horse"))
    for path in ("/", "/export.csv", "/_dash-layout", "/assets/page.js"):
        refused = client.get(path)
        assert refused.status_code == 401 and "Basic" in refused.headers["WWW-Authenticate"]
        assert client.get(path, auth=("any", "wrong")).status_code == 401
        with client.get(path, auth=("any", "correct horse")) as answer:
            assert answer.status_code == 200
    assert client.get("/health").status_code == client.get("/metrics").status_code == 200


def test_every_answer_has_the_version_of_its_page(services: Services) -> None:
    client = http_client(services)
    page, layout = client.get("/"), client.get("/_dash-layout")
    version = page.headers["Dashboard-Version"]
    assert f'data-version="{version}"' in page.get_data(as_text=True)
    assert layout.headers["Dashboard-Version"] == version


def test_behind_a_prefix_every_address_of_the_page_begins_with_it(backend: Backend) -> None:
    html = page(backend.services(path_prefix="/bitcoin/"))
    addresses = re.findall(r'(?:src|href)="(/[^"]*)"', html)
    assert len(addresses) > 10
    assert [a for a in addresses if not a.startswith("/bitcoin/")] == []


@pytest.mark.parametrize("shown", [None, "x", [], {}, {"serial": "7", "of": 1}, {"serial": 10**9}])
def test_what_no_page_shows_is_answered_with_the_whole_view(services: Services, shown: Any) -> None:
    view = services.views.view(Filters(range="24h"), "dark", "UTC")
    viewer = Viewer("dark", "UTC")
    sent = activity_outputs(services, Filters(range="24h"), viewer, shown)
    assert sent["figures"] == view.figures and sent["rows"]["rows"] == view.table
    again = activity_outputs(services, Filters(range="24h"), viewer, sent["shown"])
    assert [*again["figures"].values(), again["rows"]] == [no_update] * (len(view.figures) + 1)


def test_a_viewer_of_the_benchmark_asks_for_what_the_page_asks_for(services: Services) -> None:
    with serving(services) as url:
        body = refresh_body(url, "?range=24h", viewer=0)
        answer = requests.post(f"{url}/_dash-update-component", json=body, timeout=30)
    assert answer.status_code == 200
    assert {"pill", "table-rows", "scatter-figure"} <= set(answer.json()["response"])
