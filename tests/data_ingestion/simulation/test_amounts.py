"""Totals are split to the satoshi, and simulated coinjoins keep the rules of their protocols."""

import json
from random import Random

import numpy as np
import pytest
from tests.support.simulated import NOW

from core.blockchain_json.describe import describe
from core.ordinary_traffic.behaviours import BEHAVIOURS, Behaviour
from core.ordinary_traffic.traffic import Traffic
from core.transaction import numbers_of
from data_ingestion.simulation import drafts
from data_ingestion.simulation.amounts import split_amount
from data_ingestion.simulation.rendering import render

MIXES = [behaviour for behaviour in BEHAVIOURS if behaviour.coinjoin]


@pytest.mark.parametrize("total", [0, 1, 999, 10**6, 21 * 10**14])
@pytest.mark.parametrize("parts", [1, 2, 3, 1_000])
def test_a_split_loses_no_satoshi(total: int, parts: int) -> None:
    amounts = split_amount(total, parts, Random(1))
    assert (sum(amounts), len(amounts)) == (total, parts)
    assert min(amounts) >= 0


@pytest.mark.parametrize("behaviour", MIXES, ids=lambda behaviour: behaviour.name)
@pytest.mark.parametrize("factor", [0.1, 1.0, 3.0])
def test_a_simulated_coinjoin_is_recognised(behaviour: Behaviour, factor: float) -> None:
    more = {each.name: float(each is behaviour) for each in BEHAVIOURS}
    batch = Traffic(seed=5, more=more).draw(np.full(40, float(NOW)), factor)
    for number, draft in enumerate(drafts.drafts_of(batch)):
        item = render(draft, NOW, 900_000, Random(number)).json()
        described = describe(item)
        assert described.coinjoin == behaviour.coinjoin, json.loads(item)
        assert numbers_of(described) == draft.numbers
