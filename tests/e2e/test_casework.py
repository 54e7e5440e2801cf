"""From flag to case on the whole stack: waves, a watch list, a mute, and who is told."""

import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.support.demo_stack import READY_SECONDS, SCORED_SECONDS, Demo, ask
from tests.support.peoples_work import (
    KNOWN_PAYER,
    WATCHED_PAYER,
    WAVE_PAYER,
    Desk,
    inject,
    mute,
    watch,
)

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

WAVE = 40
TOLD_SECONDS = 120


@pytest.fixture(scope="module", autouse=True)
def scoring(demo: Demo) -> None:
    demo.wait_for("table of URLs", demo.urls, READY_SECONDS)
    demo.wait_for("scored row", lambda: demo.rows("scored_transactions", "hash"), SCORED_SECONDS)
    demo.wait_for_champion()


def case_of(demo: Demo, transaction: str) -> dict[str, Any] | None:
    """The case that a transaction is in, with its members, once it has one."""
    api = demo.url("API_PORT")
    for case in (ask(f"{api}/cases?limit=200") or {}).get("cases", ()):
        details: dict[str, Any] = ask(f"{api}/cases/{case['number']}") or {}
        if transaction in [each["transaction_hash"] for each in details.get("members", ())]:
            return details
    return None


def once(condition: Callable[[], bool]) -> Callable[[], bool | None]:
    return lambda: condition() or None


def verdict_of(demo: Demo, transaction: str) -> dict[str, Any] | None:
    """The verdict on a transaction, once it is scored."""
    details = ask(f"{demo.url('API_PORT')}/transactions/{transaction}") or {}
    verdict: dict[str, Any] | None = details.get("verdict")
    return verdict


def test_a_wave_of_dust_by_one_payer_is_one_case_and_one_alert(demo: Demo, desk: Desk) -> None:
    hashes = [inject(demo, "dust_fan_out", WAVE_PAYER)["hash"] for _ in range(WAVE)]
    verdicts = {
        each: demo.wait_for("verdict", partial(verdict_of, demo, each), TOLD_SECONDS)
        for each in hashes
    }
    flagged = {each for each, verdict in verdicts.items() if verdict["is_anomaly"]}
    assert len(flagged) > WAVE / 2

    def whole() -> dict[str, Any] | None:
        found = case_of(demo, min(flagged))
        members = {each["transaction_hash"] for each in found["members"]} if found else set()
        return found if members == flagged else None

    case = demo.wait_for("case of the whole wave", whole, TOLD_SECONDS)["case"]
    assert case["transactions"] == len(flagged)
    demo.wait_for("alert", once(lambda: bool(desk.told_of(case["number"]))), TOLD_SECONDS)
    assert len(desk.told_of(case["number"])) == 1, "the rest waits for the end of the cool-down"


def stream_says(demo: Demo, metric: str) -> float | None:
    """The value of a metric of the stream that has no label; None while it is 0 or missing."""
    with urllib.request.urlopen(f"{demo.url('STREAM_METRICS_PORT')}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    values = [float(line.split()[1]) for line in lines if line.startswith(f"{metric} ")]
    return values[0] if values and values[0] else None


def test_a_watched_payer_is_told_of(demo: Demo, desk: Desk) -> None:
    watch(demo, WATCHED_PAYER)
    entries = partial(stream_says, demo, "bitcoin_stream_watch_list_entries")
    demo.wait_for("watch list in the stream", entries, TOLD_SECONDS)
    paid = inject(demo, "dust_fan_out", WATCHED_PAYER)["hash"]
    case = demo.wait_for("case of it", lambda: case_of(demo, paid), TOLD_SECONDS)["case"]

    def told() -> bool:
        return any("Ann" in message["title"] for message in desk.told_of(case["number"]))

    demo.wait_for("alert that names the entry", once(told), TOLD_SECONDS)


def test_what_a_muted_payer_does_is_flagged_and_counted_and_is_no_case(demo: Demo) -> None:
    mute(demo, KNOWN_PAYER)
    muted = partial(stream_says, demo, "bitcoin_stream_anomalies_muted_total")

    def pay() -> float | None:
        hash = inject(demo, "fat_finger_fee", KNOWN_PAYER)["hash"]
        demo.wait_for("verdict", lambda: verdict_of(demo, hash), TOLD_SECONDS)
        return muted()

    demo.wait_for("muted flag", pay, 2 * TOLD_SECONDS)
    rows = ask(f"{demo.url('API_PORT')}/anomalies?limit=200")["anomalies"]
    hidden = [row["transaction_hash"] for row in rows if row["muted_by"]]
    assert hidden, "the flag is listed, and says which mute keeps it from being news"
    assert case_of(demo, hidden[0]) is None
