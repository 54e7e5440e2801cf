"""Script types and dust limits, against the values that Bitcoin Core's own comments give."""

import pytest

from core.blockchain_json.scripts import dust_limit, script_type

KEY = "02" + "ab" * 32
SCRIPTS = {
    "p2pkh": "76a914" + "22" * 20 + "88ac",
    "p2sh": "a914" + "22" * 20 + "87",
    "p2wpkh": "0014" + "22" * 20,
    "p2wsh": "0020" + "22" * 32,
    "p2tr": "5120" + "22" * 32,
    "p2a": "51024e73",
    "p2pk": "21" + KEY + "ac",
    "multisig": "51" + "21" + KEY + "21" + KEY + "52ae",
    "op_return": "6a0400000000",
    "witness_unknown": "5210" + "22" * 16,
    "nonstandard": "76a9",
}


@pytest.mark.parametrize(("expected", "script"), SCRIPTS.items())
def test_each_form_is_recognised(expected: str, script: str) -> None:
    assert script_type(script) == expected


def test_the_long_public_key_of_2009_is_recognised() -> None:
    assert script_type("41" + "04" + "ab" * 64 + "ac") == "p2pk"


@pytest.mark.parametrize(
    "script", ["", "00", "0015" + "22" * 20, "0014" + "22" * 21, "6100", "ae", "not hexadecimal"]
)
def test_what_only_resembles_a_form_is_nonstandard(script: str) -> None:
    assert script_type(script) == "nonstandard"


@pytest.mark.parametrize(
    ("kind", "limit"),
    [("p2pkh", 546), ("p2sh", 540), ("p2wpkh", 294), ("p2wsh", 330), ("p2tr", 330), ("p2a", 240)],
)
def test_dust_limits_are_those_of_bitcoin_core(kind: str, limit: int) -> None:
    assert dust_limit(SCRIPTS[kind]) == limit


@pytest.mark.parametrize("script", [SCRIPTS["op_return"], "51" * 10_001])
def test_what_cannot_be_spent_is_never_dust(script: str) -> None:
    assert dust_limit(script) == 0


def test_a_long_script_needs_a_longer_count() -> None:
    assert dust_limit("51" * 253) - dust_limit("51" * 252) == 3 * (1 + 2)
