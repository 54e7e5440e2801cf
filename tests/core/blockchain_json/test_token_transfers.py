"""One owner's moves of tokens are told from sales, payments and attacks with dust."""

import json
from typing import Any

import pytest

from core.blockchain_json.describe import is_token_transfer
from core.blockchain_json.schema import decode_transaction

Pair = tuple[str, int]


def moves(spent: list[Pair], paid: list[Pair]) -> bool | None:
    inputs = [{"prev_out": {"script": "5120" + who, "value": value}} for who, value in spent]
    outputs = [
        {"script": who if who.startswith("6a") else "5120" + who, "value": value}
        for who, value in paid
    ]
    numbers = {"hash": "a", "size": 200, "inputs": inputs, "out": outputs}
    raw = decode_transaction(json.dumps(numbers).encode())
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
