"""From flag to case on the whole stack: waves, a watch list, a mute, and who is told."""

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


def test_a_watched_payer_is_told_of_and_a_muted_one_is_counted(demo: Demo, desk: Desk) -> None:
    watched = inject(demo, "dust_fan_out", WATCHED_PAYER)["payer"]
    known = inject(demo, "dust_fan_out", KNOWN_PAYER)["payer"]
    watch(demo, watched)
    mute(demo, known)

    def of_both() -> tuple[str, str] | None:
        """A transaction of each payer that came when list and mute held."""
        paid = inject(demo, "dust_fan_out", WATCHED_PAYER)["hash"]
        muted = inject(demo, "fat_finger_fee", KNOWN_PAYER)["hash"]
        held = demo.wait_for("verdict", lambda: matched(paid), TOLD_SECONDS)
        demo.wait_for("verdict", lambda: verdict_of(demo, muted), TOLD_SECONDS)
        said = held and demo.wait_for("case of it", lambda: case_of(demo, paid), TOLD_SECONDS)
        return (paid, muted) if said and case_of(demo, muted) is None else None

    def matched(transaction: str) -> bool | None:
        """Whether the list was in force when it came; None before it is scored."""
        if verdict_of(demo, transaction) is None:
            return None
        return transaction in {row["hash"] for row in demo.rows("watched", "hash") or ()}

    paid, muted = demo.wait_for("match of the watch list", of_both, TOLD_SECONDS)

    def with_hit() -> dict[str, Any] | None:
        found = case_of(demo, paid)
        hits = [m for m in found["members"] if m["kind"] == "watched"] if found else []
        return found if paid in {member["transaction_hash"] for member in hits} else None

    case = demo.wait_for("case with the hit", with_hit, TOLD_SECONDS)["case"]
    assert case_of(demo, muted) is None
    answer = ask(f"{demo.url('API_PORT')}/anomalies?limit=200")
    by = {row["transaction_hash"]: row["muted_by"] for row in answer["anomalies"]}
    assert by[muted], "it is flagged all the same, and says why nobody is told"

    def told() -> bool:
        return any("Ann" in message["text"] for message in desk.told_of(case["number"]))

    demo.wait_for("alert that names the entry", once(told), TOLD_SECONDS)
