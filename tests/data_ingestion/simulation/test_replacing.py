import json
from random import Random

from data_ingestion.simulation.generated import Generated
from data_ingestion.simulation.rendering import render
from data_ingestion.simulation.replacing import replacement


def test_a_replacement_spends_the_same_coins_and_pays_more() -> None:
    rng, source, made = Random(1), Generated(1, 0), 0
    for _ in range(100):
        old = render(source.draft(1.8e9), 1_800_000_000, 900_000, rng)
        new = replacement(old, 1_800_000_060, rng)
        if new is None:
            continue
        made += 1
        before, after = json.loads(old.json()), json.loads(new.json())
        assert after["hash"] != before["hash"]
        assert after["fee"] > before["fee"]
        coins = [
            [(i["prev_out"]["tx_index"], i["prev_out"]["n"]) for i in item["inputs"]]
            for item in (before, after)
        ]
        assert coins[0] == coins[1]
        spent = sum(i["prev_out"]["value"] for i in after["inputs"])
        assert spent - sum(o["value"] for o in after["out"]) == after["fee"] == new.fee
        assert {o["tx_index"] for o in after["out"]} == {after["tx_index"]}
    assert made > 30


def test_an_output_that_cannot_afford_it_is_left_alone() -> None:
    source, rng = Generated(1, 0), Random(1)
    drafts = (source.draft(1.8e9) for _ in range(200))
    poor = next(d for d in drafts if d.behaviour.name == "token transfer")
    assert replacement(render(poor, 1, 1, rng), 2, rng) is None
