"""A simulated package keeps the rules of TRUC, pay-to-anchor and ephemeral dust."""

import json
from random import Random
from typing import Any

import pytest
from tests.support.simulated import NOW

from core.blockchain_json.describe import describe
from core.detector.patterns import Shape, facts_of, patterns_of
from core.transaction import DescribedTransaction, numbers_of
from data_ingestion.simulation.drafts import TransactionGenerator
from data_ingestion.simulation.packages import package
from data_ingestion.simulation.rendering import render

Pair = tuple[dict[str, Any], dict[str, Any], list[DescribedTransaction]]


def pairs(fee_rate: float, count: int = 60) -> list[Pair]:
    """The JSON of parents and their children, and what is described by it."""
    rng, generator = Random(4), TransactionGenerator(4, 0)
    made = []
    for _ in range(count):
        first, second = (render(generator.payment(NOW), NOW, 900_000, rng) for _ in range(2))
        pair = package(first, second, fee_rate, rng)
        if pair is not None:
            items = [transaction.json() for transaction in pair]
            made.append((*map(json.loads, items), [describe(item) for item in items]))
    return made


def test_the_child_spends_the_anchor_of_its_parent() -> None:
    made = pairs(20)
    assert len(made) > 30
    for parent, child, _ in made:
        anchor, spent = parent["out"][-1], child["inputs"][-1]["prev_out"]
        assert (anchor["script"], anchor["value"]) == ("51024e73", 0)
        assert (spent["tx_index"], spent["n"]) == (parent["tx_index"], len(parent["out"]) - 1)
        assert anchor["spending_outpoints"] == [
            {"tx_index": child["tx_index"], "n": len(child["inputs"]) - 1}
        ]
        assert parent["ver"] == child["ver"] == 3
        assert parent["hash"] != child["hash"]


@pytest.mark.parametrize("fee_rate", [0.4, 3.0, 200.0])
def test_the_pair_pays_the_fee_rate_that_was_asked_for(fee_rate: float) -> None:
    for _, _, (parent, child) in pairs(fee_rate):
        assert parent.fee == 0
        weight = parent.weight + child.weight
        assert fee_rate <= child.fee * 4 / weight < fee_rate + 4 / weight + 1e-9
        assert child.weight <= 4_000, "a TRUC child has 1,000 vB at the most (BIP 431)"


def test_both_are_named_for_what_they_are() -> None:
    for _, _, described in pairs(20, 10):
        names = [
            patterns_of(Shape(*numbers_of(transaction), *facts_of(transaction)))
            for transaction in described
        ]
        parent = ("pay_to_anchor", "ephemeral_dust", "zero_fee", "dust", "version_3")
        assert names == [parent, ("version_3",)]


def test_a_child_that_cannot_pay_makes_no_package() -> None:
    assert pairs(10**9) == []
