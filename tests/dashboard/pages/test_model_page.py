from zoneinfo import ZoneInfo

from tests.support.dashboard_api import MODEL
from tests.support.dashboard_backend import as_text

from dashboard.pages.model_page import model_view
from dashboard.services import Services

UTC = ZoneInfo("UTC")


def test_the_model_page_shows_the_version_its_evaluation_and_its_drift(services: Services) -> None:
    drift = services.trainer.drift()
    text = as_text(model_view(MODEL, None, drift, None, services.mlflow_url, UTC))
    assert "20,000 simulated transactions" in text and "2026-11-23 08:00:00" in text
    assert "dust fan out" in text and "0.310" in text and "fill hot" in text
    assert "Real transactions" in text and "wasabi 1 coinjoins" in text and "73\u00a0%" in text
    assert "fee / (weight / 4)" in text and "measured beside the market" in text
    assert "market in training" in text and "15.5 sat/vB" in text
    assert "market now" in text and "18.2 sat/vB; most pay 6.1–73" in text
    assert "more is paid as fee than is sent" in text


def test_a_version_that_knows_no_real_transactions_says_nothing_of_them() -> None:
    evaluation = {"recall_fee_overpaid": 1.0}
    model = MODEL | {"facts": {"evaluation": evaluation}}
    text = as_text(model_view(model, None, None, None, "http://localhost:5000", UTC))
    assert "fee overpaid" in text and "Real transactions" not in text


def test_without_a_model_the_model_page_is_a_sentence() -> None:
    text = as_text(model_view(None, "No champion yet.", None, None, "http://localhost:5000", UTC))
    assert "No champion yet." in text
