"""Wording: what a person reads is right, short and not an accusation."""

import re

import pytest

from core.detector.explanation import (
    BY_RULE_NOT_ILLICIT,
    NOT_ILLICIT,
    amount,
    beside_market,
    explanation,
    number,
    pattern,
    reason,
    value,
)
from core.detector.patterns import PATTERNS
from core.detector.rules import RULES, RULES_VERSION, Rule
from core.detector.verdict import Reason, Verdict
from core.feature_table import NAMES

FEE_RATE = Reason("fee_rate", 58_400.0, 12.0, 140.0, 4.2)


def verdict(is_anomaly: bool, name: str | None = None, *reasons: Reason) -> Verdict:
    names = () if name is None else (name,)
    return Verdict(0.81, 0.9998, 0.72, is_anomaly, names, reasons, "3")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (0, "0"),
        (58_400.4, "58,400"),
        (1_234_567, "1,234,567"),
        (12.345, "12.3"),
        (99.96, "100"),
        (0.00042, "0.00042"),
        (0.0000123, "0.000012"),
    ],
)
def test_numbers_have_three_digits_that_matter(given: float, text: str) -> None:
    assert number(given) == text


@pytest.mark.parametrize(
    ("satoshi", "text"),
    [(0, "0 sat"), (999_999, "999,999 sat"), (1_000_000, "0.01 BTC"), (2e14, "2,000,000 BTC")],
)
def test_amounts_are_in_the_unit_that_reads_best(satoshi: float, text: str) -> None:
    assert amount(satoshi) == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (FEE_RATE, "fee rate 58,400 sat/vB; usual 12 to 140"),
        (Reason("fee", 1e8, 1_220, 117_698, 1), "fee 1 BTC; usual 1,220 to 117,698 sat"),
        (Reason("fee", 5.0, 1_220, 1e6, 1), "fee 5 sat; usual 1,220 sat to 0.01 BTC"),
        (Reason("inputs_count", 1_600, 1, 97.6, 1), "inputs 1,600; usual 1 to 98"),
        (Reason("fee_share", 0.5, 0.001, 0.8, 1), "fee of the amount 50 %; usual 0.1 to 80"),
    ],
)
def test_a_reason_shows_the_value_and_the_usual_range(given: Reason, text: str) -> None:
    assert reason(given) == text


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_has_words(name: str) -> None:
    assert re.match(r"\S", value(name, 1234.5))
    assert re.fullmatch(
        r"[a-z ]+ \S+( \S+)?; usual \S+( \S+)? to \S+( \S+)?",
        reason(Reason(name, 5e7, 0.5, 9e8, 1.0)),
    )


@pytest.mark.parametrize("name", [pattern.name for pattern in PATTERNS])
def test_every_pattern_has_words(name: str) -> None:
    assert pattern(name) in explanation(verdict(True, name))


def test_an_alert_is_explained_in_sentences() -> None:
    text = explanation(verdict(True, "fee_overpaid", FEE_RATE))
    assert text == (
        "Unusual: it scores at least as high as 99.98 % of recent traffic. "
        "In shape, its fee is above the limits that Bitcoin Core's wallet warns at. "
        "Fee rate 58,400 sat/vB; usual 12 to 140. " + NOT_ILLICIT
    )


def test_what_is_not_flagged_is_not_called_unusual() -> None:
    text = explanation(verdict(False, None, FEE_RATE))
    assert text.startswith("Not unusual enough for an alert:")
    assert NOT_ILLICIT not in text


def test_no_words_accuse() -> None:
    words = " ".join(pattern.words for pattern in PATTERNS) + NOT_ILLICIT
    assert not re.search(r"suspicious|criminal|fraud|launder|attack", words)


@pytest.mark.parametrize(
    ("fee_rate", "market", "text"),
    [
        (480, 15.5, "31 times what others pay now (15.5)"),
        (40, 15.5, "2.58 times what others pay now (15.5)"),
        (16, 15.5, "about what others pay now (15.5)"),
        (1, 15.5, "0.0645 of what others pay now (15.5)"),
        (0, 15.5, "0 of what others pay now (15.5)"),
        (58_400, 0.6, "97,333 times what others pay now (0.6)"),
    ],
)
def test_a_fee_rate_is_compared_as_people_do(fee_rate: float, market: float, text: str) -> None:
    assert beside_market(fee_rate, market) == text


def test_the_market_stands_beside_the_fee_rate_and_nothing_else() -> None:
    paid = Reason("fee_rate", 480.0, 3.1, 62.0, 4.2)
    expected = "fee rate 480 sat/vB, 31 times what others pay now (15.5); usual 3.1 to 62"
    assert reason(paid, 15.5) == expected
    assert reason(paid) == reason(paid, 0.0) == "fee rate 480 sat/vB; usual 3.1 to 62"
    fee = Reason("fee", 5.0, 1_220, 1e6, 1)
    assert reason(fee, 15.5) == reason(fee)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_named_in_words(rule: Rule) -> None:
    flagged = verdict(True)._replace(flagged_by="rule")
    assert f"By rule, {rule.words}." in explanation(flagged, [rule.name])


@pytest.mark.parametrize(
    ("is_anomaly", "opening"), [(True, "Flagged by a rule"), (False, "No rule flags it")]
)
def test_without_a_model_no_rank_is_told(is_anomaly: bool, opening: str) -> None:
    alone = Verdict(0.0, 0.0, 1.0, is_anomaly, (), (), RULES_VERSION)
    assert explanation(alone).startswith(f"{opening}; there is no model yet.")
    assert "%" not in explanation(alone)


def test_what_a_rule_alone_flags_is_not_called_rare() -> None:
    flagged = verdict(True, None)._replace(flagged_by="rule")
    text = explanation(flagged, [RULES[0].name])
    assert text.startswith("Flagged by a rule, not by its score: it scores at least as high as")
    assert text.endswith(BY_RULE_NOT_ILLICIT) and NOT_ILLICIT not in text
    assert explanation(flagged._replace(flagged_by="both")).endswith(NOT_ILLICIT)


def test_of_a_coinbase_it_is_said_why_it_is_never_flagged() -> None:
    said = explanation(verdict(False, "coinbase", FEE_RATE))
    assert said.startswith("Never flagged: a coinbase transaction spends nothing and pays no fee")
    assert "recent traffic" not in said


def test_a_verdict_by_the_package_says_so() -> None:
    said = explanation(verdict(True)._replace(package_fee_rate=12.34))
    assert "judged by 12.3 sat/vB, the effective fee rate with a parent or child beside it" in said


def test_what_another_version_names_is_left_out() -> None:
    foreign = Reason("entropy", 1.0, 0.0, 1.0, 3.0)
    told = explanation(verdict(True, "new_pattern", foreign, FEE_RATE))
    assert "new_pattern" not in told and "entropy" not in told
    assert "Fee rate 58,400 sat/vB; usual 12 to 140." in told
