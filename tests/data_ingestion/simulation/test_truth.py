from random import Random

from tests.support.simulated import transactions

from data_ingestion.simulation.chain import Chain
from data_ingestion.simulation.truth import Truth


def test_it_forgets_the_oldest_beyond_its_bound() -> None:
    truth, chain = Truth(bound=100), Chain(1, 10**6, Random(1))
    emitted = transactions(270)
    hashes = [transaction.hash for transaction in emitted]
    for n in range(30):
        mined = emitted[9 * n : 9 * n + 9]
        for transaction in mined:
            truth.add_emitted(transaction, "zero_fee")
            truth.add_replaced(transaction.hash, "by another")
        truth.add_block(chain.extend(mined, n))
    report = truth.report()
    assert report["emitted"] == hashes[-100:]
    assert list(report["injected"]) == list(report["replaced"]) == hashes[-100:]
    assert len(report["mined"]) == 100
    assert report["mined"][-9:] == hashes[-9:]


def test_an_orphaned_block_is_not_mined_any_more() -> None:
    truth, chain = Truth(), Chain(1, 1_000, Random(1))
    kept, orphan = chain.extend([], 1), chain.extend([], 2)
    truth.add_block(kept)
    truth.add_block(orphan)
    truth.mark_orphan(orphan)
    report = truth.report()
    assert report["mined"] == [kept.transactions[0].hash]
    assert [block["main_chain"] for block in report["blocks"]] == [True, False]
