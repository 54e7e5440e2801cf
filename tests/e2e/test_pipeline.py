"""The whole stack as a person starts it: simulator, Kafka, Spark, Delta, MLflow, API, dashboard."""

import urllib.request
from collections import Counter
from typing import Any

import pytest
from tests.support.dashboard_browser import WatchedPage, chromium
from tests.support.demo_stack import READY_SECONDS, SCORED_SECONDS, TRANSACTION, Demo, ask

from core.detector.injected_anomalies import KINDS

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

SHOWN_MILLISECONDS = 180_000
"""How long a flag is waited for; how long it takes is measured by `benchmarks.stack`."""


def test_every_service_comes_up_and_the_urls_are_printed(demo: Demo) -> None:
    printed = demo.wait_for("table of URLs", demo.urls, READY_SECONDS)
    for setting in ("DASHBOARD_PORT", "API_PORT", "MLFLOW_PORT", "SPARK_UI_PORT"):
        assert demo.url(setting) in printed


def test_transactions_are_scored_once_each(demo: Demo) -> None:
    demo.wait_for("scored row", lambda: demo.rows("scored_transactions", "hash"), SCORED_SECONDS)
    raw = Counter(row["hash"] for row in demo.rows("raw_transactions", "hash") or [])
    scored = Counter(row["hash"] for row in demo.rows("scored_transactions", "hash") or [])
    assert max(raw.values()) == max(scored.values()) == 1
    assert len(raw) > 2_000


def test_the_api_answers_with_the_champion_that_mlflow_names(demo: Demo) -> None:
    demo.wait_for_champion()
    verdict = ask(f"{demo.url('API_PORT')}/predict", TRANSACTION)
    assert 0 < verdict["anomaly_score"] < 1
    model = ask(
        f"{demo.url('MLFLOW_PORT')}/api/2.0/mlflow/registered-models/alias"
        "?name=BitcoinAnomalyDetection&alias=champion"
    )
    assert verdict["model_version"] == model["model_version"]["version"]


def test_an_injected_anomaly_is_flagged_and_the_api_agrees_to_the_bit(demo: Demo) -> None:
    injected = ask(
        f"{demo.url('SIMULATOR_PORT')}/simulator/inject?kind=fat_finger_fee", method="POST"
    )

    def scored() -> dict[str, Any] | None:
        rows = demo.rows("scored_transactions", "*") or []
        return next((row for row in rows if row["hash"] == injected["hash"]), None)

    row = demo.wait_for("score of the injected anomaly", scored, SCORED_SECONDS)
    assert row["is_anomaly"]
    assert row["reasons"]
    market = {"market_fee_rate": row["market_fee_rate"]}
    same = {name: row[name] for name in TRANSACTION} | market
    answer = ask(f"{demo.url('API_PORT')}/predict", same)
    assert answer["model_version"] == row["model_version"]
    assert answer["anomaly_score"] == row["anomaly_score"]


def test_prometheus_names_are_answered_by_every_service(demo: Demo) -> None:
    for setting in ("PRODUCER_METRICS_PORT", "STREAM_METRICS_PORT", "TRAINER_METRICS_PORT"):
        with urllib.request.urlopen(f"{demo.url(setting)}/metrics", timeout=10) as answer:
            assert b"bitcoin_build_info" in answer.read()


@pytest.mark.browser
def test_injected_anomalies_appear_on_the_dashboard_and_it_says_why(demo: Demo) -> None:
    with chromium() as browser:
        seen = WatchedPage(browser.new_page(), demo.url("DASHBOARD_PORT"))
        page = seen.open("/?range=15m&flagged=1&order=newest")
        page.wait_for_selector("#pill.good >> text=Healthy")
        simulator = f"{demo.url('SIMULATOR_PORT')}/simulator/inject"
        kinds = ("fee_and_amount_swapped", "dust_fan_out")  # that any champion of few rows finds
        hashes = {kind: ask(f"{simulator}?kind={kind}", method="POST")["hash"] for kind in kinds}
        row = "#grid .ag-row[row-id='{}']".format
        for hash in hashes.values():  # both before one is read, which holds new rows back
            page.wait_for_selector(row(hash), timeout=SHOWN_MILLISECONDS)
        for kind, hash in hashes.items():
            page.click(f"{row(hash)} [col-id='pattern']")
            page.wait_for_selector(f"#drawer.open .hash:has-text('{hash}')")
            first = page.locator("#why [data-feature]").first
            assert first.get_attribute("data-feature") in KINDS[kind].features
            page.keyboard.press("Escape")
            page.wait_for_selector("#drawer.closed", state="attached")
        assert (seen.errors, seen.other_hosts) == ([], [])


def test_a_second_run_continues_on_the_same_data(demo: Demo) -> None:
    assert demo.stop() == 0
    before = len(demo.rows("scored_transactions", "hash") or [])
    demo.start()

    def grown() -> int | None:
        count = len(demo.rows("scored_transactions", "hash") or [])
        return count if count > before else None

    demo.wait_for("growth after the restart", grown, SCORED_SECONDS)
    hashes = Counter(row["hash"] for row in demo.rows("raw_transactions", "hash") or [])
    assert max(hashes.values()) == 1
