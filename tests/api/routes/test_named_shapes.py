"""Transactions as a person pastes them: each has its name, and its explanation says the truth."""

from random import Random
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.support import coinjoins
from tests.support.blockchain_samples import P2WPKH, paid, payment, spent
from tests.support.coinjoins import transaction

from core.transaction import COIN

TAPROOT = "5120" + "33" * 32
ANCHOR = "51024e73"


def one_owners_tokens() -> dict[str, Any]:
    item = transaction([546] * 28, [546] * 27, Random(1))
    for each in [*item["out"], *(coin["prev_out"] for coin in item["inputs"])]:
        each["script"] = TAPROOT
    return item


def sold_token() -> dict[str, Any]:
    """As markets make it: the seller's offer beside small outputs and coins of the buyer."""
    values = [(1_200, 1), (546, 1), (149_222, 0), (600, 1), (600, 1), (330_182, 1)]
    item = transaction([600, 600, 546, 489_087], [value for value, _ in values], Random(1))
    sides = [*item["out"], *(coin["prev_out"] for coin in item["inputs"])]
    for each, owner in zip(sides, [*(owner for _, owner in values), 1, 1, 0, 1], strict=True):
        each["script"] = f"5120{owner:064x}"
    return item


def anchored(fee: int) -> dict[str, Any]:
    """A version 3 parent that leaves its fee to a child."""
    outputs = [paid(10_000 - fee), paid(0, ANCHOR, None)]
    return payment(ver=3, fee=fee, out=outputs, vout_sz=2, size=150, weight=450)


def burned() -> dict[str, Any]:
    outputs = [paid(COIN, "6a0568656c6c6f", None), paid(9_000)]
    return payment(inputs=[spent(COIN + 10_000)], out=outputs, vout_sz=2, fee=1_000)


def below_one_sat_vb() -> dict[str, Any]:
    """As c2e051f8… of 2026: 30 sat for 851 weight units, and an OP_RETURN."""
    outputs = [paid(1_122), paid(1_092, P2WPKH), paid(0, "6a5d" + "00" * 150, None)]
    numbers = {"size": 362, "weight": 851, "fee": 30}
    return payment(inputs=[spent(2_244)], out=outputs, vout_sz=3, **numbers)


PASTED = [
    ("whirlpool", coinjoins.whirlpool(), "a coinjoin of Whirlpool"),
    ("wasabi_2", coinjoins.wasabi_2(200), "a coinjoin of Wasabi 2"),
    ("joinmarket", coinjoins.joinmarket(), "as JoinMarket makes"),
    ("token_transfer", one_owners_tokens(), "its owner moves tokens"),
    ("token_sale", sold_token(), "it sells tokens"),
    ("consolidation", transaction([10_280] * 356, [3_634_500], Random(1)), "gathers many coins"),
    (
        "batch_payout",
        transaction([10**8], [690_000 + n for n in range(143)], Random(1)),
        "pays many at once",
    ),
    ("value_burned", burned(), "it destroys coins"),
    ("pay_to_anchor", anchored(0), "pay-to-anchor output"),
    ("pay_to_anchor", anchored(200), "pay-to-anchor output"),
    ("low_fee", below_one_sat_vb(), "less than 1 sat/vB"),
]


@pytest.mark.parametrize(("name", "item", "words"), PASTED, ids=[name for name, *_ in PASTED])
def test_a_pasted_transaction_has_its_name_and_a_true_sentence(
    client: TestClient, name: str, item: dict[str, Any], words: str
) -> None:
    answer = client.post("/predict/raw", json=item).json()
    assert answer["pattern"] == name
    assert words in answer["explanation"]
