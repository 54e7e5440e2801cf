"""Moves and sales of tokens are told from each other, from payments and attacks with dust."""

import json
from typing import Any

import pytest

from core.blockchain_json.schema import RawTransaction, decode_transaction
from core.blockchain_json.tokens import is_token_sale, is_token_transfer, token_facts

Pair = tuple[str, int]


def sides(spent: list[Pair], paid: list[Pair]) -> RawTransaction:
    inputs = [{"prev_out": {"script": "5120" + who, "value": value}} for who, value in spent]
    outputs = [
        {"script": who if who.startswith("6a") else "5120" + who, "value": value}
        for who, value in paid
    ]
    numbers = {"hash": "a", "size": 200, "inputs": inputs, "out": outputs}
    return decode_transaction(json.dumps(numbers).encode())


def moves(spent: list[Pair], paid: list[Pair]) -> bool | None:
    raw = sides(spent, paid)
    return is_token_transfer(raw.inputs, raw.out)


@pytest.mark.parametrize(
    ("spent", "paid", "expected"),
    [
        ([("aa", 9_000)], [("aa", 546)], True),
        ([("aa", 9_000)], [("bb", 330)], True),
        ([("aa", 546)] * 28, [("aa", 546)] * 27, True),
        ([("aa", 60_000)], [("bb", 546)] * 101 + [("aa", 900)], True),
        ([("aa", 60_000)], [("aa", 546), ("aa", 5_000), ("aa", 7_000), ("bb", 900)], True),
        ([("aa", 546), ("cc", 60_000)], [("bb", 546), ("6a5d04", 0), ("cc", 55_000)], True),
        ([("aa", 60_000)], [("bb", 547), ("aa", 900)], False),
        ([("aa", 60_000)], [("bb", 546), ("cc", 546), ("aa", 900)], False),
        ([("aa", 60_000)], [("bb", 546), ("cc", 20_000), ("dd", 900)], False),
        ([("aa", 546), ("cc", 60_000)], [("bb", 546), ("dd", 50_000), ("cc", 900)], False),
        ([("aa", 546), ("cc", 1_000), ("dd", 900)], [("bb", 546)], False),
        ([], [("bb", 546)], False),
    ],
)
def test_the_values_and_the_owners_tell(
    spent: list[Pair], paid: list[Pair], expected: bool
) -> None:
    assert moves(spent, paid) is expected


BUYER, SELLER, MARKET = "bb", "5e", "3a"

SALES = [
    # as markets make them: two of the buyer's small outputs keep the offer at its place
    (
        [(BUYER, 600), (BUYER, 600), (SELLER, 546), (BUYER, 489_087)],
        [
            *[(BUYER, 1_200), (BUYER, 546), (SELLER, 149_222), (MARKET, 1_250)],
            *[(BUYER, 600), (BUYER, 600), (BUYER, 330_182)],
        ],
    ),
    # paid elsewhere, with the postage of an inscription
    ([(BUYER, 90_000), (SELLER, 10_000)], [(BUYER, 10_000), (MARKET, 60_000), (BUYER, 29_000)]),
    # two offers, whose tokens the buyer takes together
    (
        [(BUYER, 60_000), (SELLER, 546), (SELLER, 546), (BUYER, 57_000)],
        [(BUYER, 546), (SELLER, 50_000), (SELLER, 50_000), (BUYER, 16_000)],
    ),
]

NO_SALES = [
    # the wallet's own address pays for the move of its token
    ([("aa", 546), ("cc", 60_000)], [("cc", 546), ("cc", 55_000)]),
    ([("aa", 546), ("cc", 60_000)], [("bb", 546), ("dd", 50_000), ("cc", 900)]),
    # what is as small as before is the payer's own
    ([(BUYER, 546), (SELLER, 90_000)], [(BUYER, 546), (MARKET, 60_000), (SELLER, 29_000)]),
    ([(BUYER, 90_000), (SELLER, 10_001)], [(BUYER, 10_001), (MARKET, 60_000), (BUYER, 29_000)]),
    ([("aa", 546)] * 28, [("aa", 546)] * 27),
    ([("aa", 5_000_000), ("cc", 5_000_000)], [("dd", 4_990_000), ("ee", 4_990_000)]),
    ([], [("bb", 546)]),
]


@pytest.mark.parametrize(
    ("trade", "expected"),
    [*((each, True) for each in SALES), *((each, False) for each in NO_SALES)],
)
def test_in_a_sale_a_token_passes_to_who_pays_for_it(
    trade: tuple[list[Pair], list[Pair]], expected: bool
) -> None:
    raw = sides(*trade)
    assert is_token_sale(raw.inputs, raw.out) is expected


@pytest.mark.parametrize("trade", SALES)
def test_a_sale_is_no_transfer(trade: tuple[list[Pair], list[Pair]]) -> None:
    raw = sides(*trade)
    assert token_facts(raw.inputs, raw.out) == {"token_sale": True, "token_transfer": False}


def test_a_sale_without_a_script_is_not_known() -> None:
    raw = sides(*SALES[0])
    raw.out[2].script = None
    assert is_token_sale(raw.inputs, raw.out) is None


@pytest.mark.parametrize("side", ["inputs", "out"])
def test_without_a_script_it_is_not_known(side: str) -> None:
    item: dict[str, Any] = {
        "hash": "a",
        "size": 200,
        "inputs": [{"prev_out": {"script": "5120aa", "value": 9_000}}],
        "out": [{"script": "5120aa", "value": 546}],
    }
    item[side] = [{"value": 546}] if side == "out" else [{"prev_out": {"value": 9_000}}]
    raw = decode_transaction(json.dumps(item).encode())
    assert is_token_transfer(raw.inputs, raw.out) is None
