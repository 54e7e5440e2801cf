from random import Random

from data_ingestion.simulation.chain import Chain
from data_ingestion.simulation.generated import Generated
from data_ingestion.simulation.rendering import render
from data_ingestion.simulation.truth import Truth


def test_it_forgets_the_oldest_beyond_its_bound() -> None:
    rng, source = Random(1), Generated(1, 0)
    truth, chain, hashes = Truth(bound=100), Chain(1, 10**6, rng), []
    for n in range(30):
        made = [render(source.draft(1.8e9), n, n, rng) for _ in range(9)]
        for transaction in made:
            truth.emit(transaction, "zero_fee")
            truth.replace(transaction.hash, "by another")
        truth.mine(chain.extend(made, n))
        hashes += [transaction.hash for transaction in made]
    report = truth.report()
    assert report["emitted"] == hashes[-100:]
    assert list(report["injected"]) == list(report["replaced"]) == hashes[-100:]
    assert len(report["mined"]) == 100
    assert report["mined"][-9:] == hashes[-9:]


def test_an_orphaned_block_is_not_mined_any_more() -> None:
    truth, chain = Truth(), Chain(1, 1_000, Random(1))
    kept, orphan = chain.extend([], 1), chain.extend([], 2)
    truth.mine(kept)
    truth.mine(orphan)
    truth.orphan(orphan)
    report = truth.report()
    assert report["mined"] == [kept.transactions[0].hash]
    assert [block["main_chain"] for block in report["blocks"]] == [True, False]
