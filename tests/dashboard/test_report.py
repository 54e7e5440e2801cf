import json

from plotly.utils import PlotlyJSONEncoder
from tests.support.dashboard_api import FakeApi
from tests.support.dashboard_backend import http_client

from dashboard.pages.queue_page import queue_page
from dashboard.services import Services


def test_the_dashboard_gives_the_report_that_the_api_makes(services: Services) -> None:
    answer = http_client(services).get("/report?day=2026-05-04")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert answer.get_data(as_text=True) == "<h1>Daily report of 2026-05-04</h1>"
    assert "yesterday" in http_client(services).get("/report").get_data(as_text=True)
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


def test_a_day_that_the_api_refuses_is_answered_with_its_reason(services: Services) -> None:
    answer = http_client(services).get("/report?day=today")
    assert (answer.status_code, answer.mimetype) == (422, "text/plain")
    assert answer.get_data(as_text=True) == "day: a day is written as YYYY-MM-DD.\n"


def test_a_day_cannot_ask_the_api_for_anything_else(services: Services) -> None:
    answer = http_client(services).get("/report?day=2026-05-04%26format=json%26day=today")
    assert answer.status_code == 200 and "&amp;format" in answer.get_data(as_text=True)


def test_without_the_api_the_report_is_a_sentence(services: Services, api: FakeApi) -> None:
    api.stop()
    answer = http_client(services).get("/report")
    assert answer.status_code == 503
    assert "The API does not answer" in answer.get_data(as_text=True)


def test_the_queue_leads_to_the_report_below_the_prefix() -> None:
    page = json.dumps(queue_page(None, "/bitcoin/"), cls=PlotlyJSONEncoder)
    assert '"href": "/bitcoin/report"' in page
