import csv
import io
from zoneinfo import ZoneInfo

from flask.testing import FlaskClient
from tests.dashboard.conftest import World
from tests.dashboard.fake_api import MODEL
from tests.dashboard.pages.test_transaction_panel import words

from dashboard.pages.model_page import model_view
from dashboard.server import build
from dashboard.services import Desk


def client(parts: Desk) -> FlaskClient:
    parts.recent.refresh()
    test_client: FlaskClient = build(parts).server.test_client()
    return test_client


def test_the_page_names_no_other_host_and_forbids_any(world: World) -> None:
    answer = client(world.desk()).get("/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    text = answer.get_data(as_text=True)
    assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
    assert "<title>Bitcoin Anomalies</title>" in text


def test_every_asset_of_the_page_is_served_from_here(world: World) -> None:
    browser = client(world.desk())
    for name in ("page.css", "page.js", "icon.svg", "dashAgGridFunctions.js"):
        with browser.get(f"/assets/{name}") as answer:
            assert answer.status_code == 200


def test_the_csv_holds_exactly_what_is_filtered(world: World) -> None:
    text = client(world.desk()).get("/export.csv?range=24h&flagged=1").get_data(as_text=True)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sorted(row["hash"] for row in rows) == sorted(world.flagged)
    assert {row["is_anomaly"] for row in rows} == {"True"}


def test_the_metrics_tell_rows_viewers_and_errors_from_the_start(world: World) -> None:
    text = client(world.desk()).get("/metrics").get_data(as_text=True)
    assert "bitcoin_dashboard_cached_rows 6000.0" in text
    assert "bitcoin_dashboard_viewers 0.0" in text
    assert 'bitcoin_dashboard_errors_total{source="callback"} 0.0' in text


def test_a_callback_that_fails_sends_a_sentence_and_no_traceback(world: World) -> None:
    parts = world.desk()
    browser = client(parts)
    wanted = {"output": "readout.children", "outputs": {"id": "readout", "property": "children"},
              "changedPropIds": ["threshold.drag_value"],
              "inputs": [{"id": "threshold", "property": "drag_value", "value": "nonsense"},
                         {"id": "url", "property": "search", "value": ""},
                         {"id": "serial", "property": "data", "value": 1}]}  # fmt: skip
    answer = browser.post("/_dash-update-component", json=wanted)
    text = answer.get_data(as_text=True)
    assert "Traceback" not in text and "TypeError" not in text
    assert "could not be updated" in text
    read = parts.metrics.registry.get_sample_value
    assert read("bitcoin_dashboard_errors_total", {"source": "callback"}) == 1


def test_the_model_page_tells_the_version_its_evaluation_and_its_drift(world: World) -> None:
    parts = world.desk()
    said = words(model_view(MODEL, None, parts.trainer.drift(), parts.mlflow, ZoneInfo("UTC")))
    assert "20,000 simulated transactions" in said and "2026-11-23 08:00:00" in said
    assert "dust fan out" in said and "0.310" in said and "fill hot" in said
    assert "fee / (weight / 4)" in said


def test_without_a_model_the_model_page_is_a_sentence() -> None:
    utc = ZoneInfo("UTC")
    said = words(model_view(None, "No champion yet.", None, "http://localhost:5000", utc))
    assert "No champion yet." in said
