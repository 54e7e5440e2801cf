"""Coinjoins are named by their protocol; what looks like one and is none is not."""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import coinjoins
from tests.support.coinjoins import transaction

from core.blockchain_json.coinjoins import coinjoin_protocol
from core.blockchain_json.schema import decode_transaction

MADE: dict[str, Callable[..., dict[str, Any]]] = {
    "whirlpool": coinjoins.whirlpool,
    "wasabi_2": coinjoins.wasabi_2,
    "wasabi_1": coinjoins.wasabi_1,
    "joinmarket": coinjoins.joinmarket,
    "coinjoin": coinjoins.shared_fee,
}


def protocol(item: dict[str, Any]) -> str | None:
    raw = decode_transaction(json.dumps(item).encode())
    return coinjoin_protocol(raw.inputs, raw.out)


@pytest.mark.parametrize(("name", "make"), MADE.items())
@pytest.mark.parametrize("seed", range(1, 9))
def test_a_coinjoin_has_the_name_of_its_protocol(
    name: str, make: Callable[..., dict[str, Any]], seed: int
) -> None:
    assert protocol(make(seed=seed)) == name


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (coinjoins.whirlpool(10, 2_500_000), "whirlpool"),
        (coinjoins.whirlpool(4), None),
        (coinjoins.whirlpool(11), None),
        (coinjoins.whirlpool(5, 5_000_001), None),
        (coinjoins.wasabi_2(20), "wasabi_2"),
        (coinjoins.wasabi_2(14), None),
        (coinjoins.wasabi_1(9), "coinjoin"),
        (coinjoins.joinmarket(9), "joinmarket"),
        (coinjoins.joinmarket(2), "joinmarket"),
        (coinjoins.joinmarket(1), None),
        (coinjoins.shared_fee(4), None),
    ],
)
def test_the_numbers_of_payers_and_the_amounts_have_bounds(
    item: dict[str, Any], name: str | None
) -> None:
    assert protocol(item) == name


def test_the_coordinators_script_tells_an_early_wasabi() -> None:
    few = coinjoins.wasabi_1(7)
    assert protocol(few) == "coinjoin"
    few["out"][-1]["script"] = "0014869f5c7a4cd7776ae0c0fcd9c3315abb239a9f0d"
    assert protocol(few) == "wasabi_1"


def test_a_wasabi_2_is_sorted() -> None:
    mixed = coinjoins.wasabi_2()
    mixed["out"] = mixed["out"][::-1]
    assert protocol(mixed) is None


def test_the_coins_of_one_owner_are_no_mix_however_they_are_sorted() -> None:
    mixed = coinjoins.wasabi_2()
    for spent in mixed["inputs"]:
        spent["prev_out"]["script"] = mixed["inputs"][0]["prev_out"]["script"]
    assert protocol(mixed) is None
    equal = transaction([1_000_100] * 40, [1_000_000] * 40, Random(1))
    assert protocol(equal) == "coinjoin"
    assert protocol(transaction([1_000_000] * 40, [1_000_000] * 39, Random(1))) is None


def test_with_more_coins_than_can_be_tried_the_counts_decide_unless_the_amount_is_round() -> None:
    for amount, name in ((601_099_941, "joinmarket"), (600_000_000, None)):
        change = [310_000_001 + n for n in range(5)]
        total = 6 * amount + sum(change) + 30_000
        coins = [total // 60 + (n % 7) for n in range(59)]
        item = transaction([*coins, total - sum(coins)], [*[amount] * 6, *change], Random(1))
        assert protocol(item) == name


def dust(values: list[int], same: int) -> dict[str, Any]:
    return transaction(values, [same] * 5, Random(1))


@pytest.mark.parametrize(
    "item",
    [
        dust([700] * 6, 546),
        dust([5_500] * 5, 4_999),
        # one owner's own mixed coins: five payments of 0.01 BTC and change
        transaction([1_000_000] * 6, [*[1_000_000] * 5, 993_367], Random(1)),
        # a payout of equal amounts from many coins
        transaction([10_106_372, *[10_000_000] * 25], [*[10_000_000] * 9, 78_000_000], Random(1)),
        # two payers in equal parts, which one wallet makes of its own coins
        transaction([253_814, 483_198, 1_000_000], [505_864, 505_864, 228_420, 491_408], Random(1)),
    ],
)
def test_what_looks_like_a_coinjoin_has_no_name(item: dict[str, Any]) -> None:
    assert protocol(item) is None


@pytest.mark.parametrize("name", ["whirlpool", "joinmarket", "coinjoin"])
def test_nobody_is_paid_twice_or_by_a_script_that_is_spent(name: str) -> None:
    for change in ("twice", "spent"):
        item = MADE[name]()
        amount = Counter(output["value"] for output in item["out"]).most_common(1)[0][0]
        first, second = [output for output in item["out"] if output["value"] == amount][:2]
        spent = item["inputs"][0]["prev_out"]["script"]
        second["script"] = first["script"] if change == "twice" else spent
        assert protocol(item) is None


def test_a_missing_value_is_no_coinjoin_and_a_missing_script_is_no_obstacle() -> None:
    for name, make in MADE.items():
        item = make()
        for spent in item["inputs"]:
            del spent["prev_out"]["script"]
        assert protocol(item) == name
        del item["inputs"][0]["prev_out"]["value"]
        assert protocol(item) is None


@given(
    st.lists(st.integers(0, 10**9), max_size=30),
    st.lists(st.sampled_from([0, 546, 5_000, 100_000, 10**7, 123_456]), max_size=30),
    st.integers(0, 9),
)
def test_any_values_have_a_name_or_none(spent: list[int], paid: list[int], seed: int) -> None:
    assert protocol(transaction(spent, paid, Random(seed))) in (None, *MADE)


def test_recorded_coinjoins_are_named_and_no_ordinary_transaction_is(sample: Path) -> None:
    named: dict[str, Counter[str | None]] = defaultdict(Counter)
    for file in ("coinjoins", "mempool_2024", "blocks"):
        with gzip.open(sample / f"{file}.jsonl.gz") as lines:
            for line in lines:
                item = json.loads(line)
                named[item.get("label", file)][protocol(item)] += 1
    for label, name in (("whirlpool",) * 2, ("wasabi1", "wasabi_1")):
        assert named[label] == {name: named[label].total()}
    assert named["wasabi2"] == {"wasabi_2": 15, None: 2}, "two spend and pay one script"
    # The mempool's are five-payer mixes of 0.001 BTC and two of 212 and 328 sorted inputs; a block
    # has one. Those labelled as entering or leaving a pool, and named, mix a pool's amount.
    assert named["mempool_2024"] == {None: 8_121, "whirlpool": 8, "wasabi_2": 2}
    assert named["blocks"] == {None: 3_023, "whirlpool": 1}
    assert set(named["whirlpool_tx0"]) == set(named["postmix"]) == {None, "whirlpool"}
    assert named["joinmarket_like"]["joinmarket"] >= 33
