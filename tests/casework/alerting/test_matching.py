"""Which members of cases are an alert on which route, and what the alert says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.alert_samples import DASHBOARD, MORNING, member, route

from casework.alerting.alert_text import (
    LISTED_CASES,
    CaseFacts,
    case_message,
    headline,
    of_origin,
    one_line,
    summary_message,
)
from casework.alerting.matching import alert_rows, fits
from casework.alerting.pacing import WaitingCase
from core.detector.explanation import NOT_ILLICIT
from core.severity import Severity

HIT = {"entry": "bc1qxyz", "name": "our <b>cold</b> wallet", "severity": "high", "what": "paid"}
FACTS = CaseFacts(size=3, severity="high", new=False, reopened=False)


@pytest.mark.parametrize(
    ("conditions", "columns", "expected"),
    [
        ({"from": "medium"}, {}, True),
        ({"from": "high"}, {}, False),
        ({"from": "never"}, {"severity": "critical"}, False),
        ({"patterns": ["zero_fee", "dust"]}, {}, True),
        ({"patterns": ["dust"]}, {}, False),
        ({"patterns": ["dust"]}, {"patterns": None}, False),
        ({"watch_list": "only"}, {}, False),
        ({"watch_list": "only"}, {"watched": [HIT]}, True),
        ({"watch_list": "never"}, {"watched": [HIT]}, False),
        ({"watch_list": "never"}, {"watched": []}, True),
        ({"from": "low"}, {"severity": "unheard of"}, True),
    ],
)
def test_a_route_takes_what_it_says(
    conditions: dict[str, Any], columns: dict[str, Any], expected: bool
) -> None:
    assert fits(route(**conditions), member(1, 1) | columns) == expected


def test_an_alert_tells_of_the_members_that_fit_and_of_the_most_telling_one() -> None:
    joined = [
        member(4, 7, "low"),
        member(5, 7, "high", patterns=["fee_overpaid"], anomaly_score=0.7),
        member(6, 7, "high", patterns=["dust_fan_out"], anomaly_score=0.9),
        member(7, 7, "medium"),
        member(8, 7, "low"),
    ]
    (row,) = alert_rows(
        [route(), route(name="quiet", **{"from": "critical"})], 7, joined, FACTS, MORNING
    )
    assert (row["route"], row["case"], row["sequence"]) == ("team", 7, 7)
    assert (row["severity"], row["joined"], row["size"]) == ("high", 3, 3)
    assert row["headline"].startswith("dust fan out")
    assert json.loads(row["payload"])["hash"] == joined[2]["hash"]


def test_a_headline_has_pattern_market_and_amount() -> None:
    row = member(1, 1, fee_rate=600.0, watched=[HIT | {"name": "a\nb"}])
    assert headline(row) == "watched: a b · zero fee · 50 times what others pay · 3.2 BTC"
    assert headline({}) == "an unusual transaction"


def waiting_case(number: int, severity: Severity, **facts: Any) -> WaitingCase:
    row = member(number, number, severity, watched=[HIT])
    (alert,) = alert_rows(
        [route(**{"from": "low"})], number, [row], FACTS._replace(**facts), MORNING
    )
    return WaitingCase(
        number,
        severity,
        first_sequence=number,
        through=number,
        joined=alert["joined"],
        size=alert["size"],
        first_at=MORNING,
        headline=alert["headline"],
        payload=alert["payload"],
    )


def test_a_message_says_what_which_why_how_many_and_where() -> None:
    message = case_message("team", waiting_case(12, "high"), DASHBOARD)
    assert message.id == "team-12"
    assert message.title == "[high] Case 12: watched: our <b>cold</b> wallet · zero fee · 3.2 BTC"
    assert message.text.splitlines() == [
        f"Unusual: it pays no fee. {NOT_ILLICIT}",
        "On the watch list: our <b>cold</b> wallet, high: paid.",
        "Case 12 has 3 members, 1 of them new; its severity is high.",
        f"Transaction {12:064x}",
        "http://dashboard.example.com/case/12",
    ]
    assert message.data["link"] == "http://dashboard.example.com/case/12"
    assert message.data["case"] == 12 and message.data["output_value"] == 320_000_000


def test_a_message_says_that_a_case_is_new_or_open_again() -> None:
    new = case_message("team", waiting_case(1, "low", new=True, size=1), DASHBOARD)
    assert "Case 1 is new and has 1 member; its severity is high." in new.text
    again = case_message("team", waiting_case(2, "low", reopened=True), DASHBOARD)
    assert "It was closed and is open again: case 2 has 3 members, 1 of them new" in again.text


def test_a_message_on_simulated_data_says_so() -> None:
    message = case_message("team", waiting_case(1, "low"), DASHBOARD)
    assert of_origin(message, "live") == message
    simulated = of_origin(message, "simulated")
    assert simulated.title == f"Simulated: {message.title}"
    assert simulated.data["origin"] == "simulated"


def test_a_summary_lists_some_in_words_and_all_as_data() -> None:
    cases = [waiting_case(n, "medium") for n in range(1, LISTED_CASES + 6)]
    message = summary_message("team", [*cases, waiting_case(99, "critical")], DASHBOARD)
    assert message.title == f"[critical] {LISTED_CASES + 6} cases were held back"
    assert message.text.count("\nCase") + 1 == LISTED_CASES
    assert "and 6 more in the queue" in message.text and NOT_ILLICIT in message.text
    assert [each["case"] for each in message.data["cases"]][-1] == 99


@given(st.text(max_size=300))
def test_words_of_people_are_one_short_printable_line(words: str) -> None:
    line = one_line(words)
    assert len(line) <= 200 and len(line.splitlines()) <= 1
    assert all(character.isprintable() for character in line)


NUMBERS = st.none() | st.integers(0, 2**53) | st.floats()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "output_value": st.none() | st.integers(0, 2**53),
            "fee_rate": NUMBERS,
            "market_fee_rate": NUMBERS,
            "anomaly_score": st.none() | st.floats(),
            "patterns": st.none() | st.lists(st.text(max_size=9), max_size=4),
            "explanation": st.none() | st.text(max_size=50),
            "watched": st.none()
            | st.lists(
                st.fixed_dictionaries({}, optional={"name": st.none() | st.text()}), max_size=3
            ),
            "severity": st.none() | st.text(max_size=4),
        },
    )
)
def test_whatever_a_member_lacks_there_is_a_message(columns: dict[str, Any]) -> None:
    joined = [{"sequence": 5, "hash": "ab"} | columns]
    (row,) = alert_rows([route(**{"from": "low"})], 1, joined, FACTS, MORNING)
    case = WaitingCase(1, "low", 5, 5, 1, 3, MORNING, row["headline"], row["payload"])
    assert "Case 1" in case_message("team", case, DASHBOARD).text
