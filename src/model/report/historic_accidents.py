"""Accidents and oddities of history, as their sources tell them, in the eight fields.

What a source does not tell is filled with the commonest payment (one P2WPKH input, two outputs:
222 bytes, 561 weight units) and said in `assumed`. They decide nothing; a run shows how each would
have been scored, by a model of another time and fee level.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.detector.champion import Champion
from core.transaction import COIN, NUMERIC_FIELDS, Transaction

_PAYMENT = {"size": 222, "weight": 561, "inputs_count": 1, "outputs_count": 2}


@dataclass(frozen=True)
class Accident:
    """One transaction that made the news; `assumed` says what its source leaves open."""

    transaction: Transaction
    words: str
    source: str
    assumed: str


def _overpaid(name: str, fee: float, paid: float) -> Transaction:
    whole_fee, whole_paid = round(fee * COIN), round(paid * COIN)
    money = {"fee": whole_fee, "output_value": whole_paid, "input_value": whole_fee + whole_paid}
    return Transaction(hash=name, **_PAYMENT, **money)


ACCIDENTS = (
    Accident(
        _overpaid("fee-of-291-btc-2016", 291.24, 0.0001),
        "April 2016: 291 BTC of fee for next to nothing paid",
        "https://www.binance.com/ru-UA/square/post/2023-11-23-a-bitcoin-user-pays-a-hefty-3-1m-"
        "transaction-fee-for-a-139-btc-transfer-443783917354",
        "size, counts, 0.0001 BTC paid",
    ),
    Accident(
        _overpaid("fee-of-19-btc-2023", 19.82, 0.074),
        "September 2023: Paxos pays 19.82 BTC of fee to send 0.074 BTC",
        "https://web3isgoinggreat.com/single/bitcoin-wallet-pays-500000-fee",
        "size, counts",
    ),
    Accident(
        _overpaid("fee-of-83-btc-2023", 83.65, 55.77),
        "November 2023: 83.65 BTC of fee to send 55.77 BTC, block 818,087",
        "https://unchainedcrypto.com/bitcoin-mining-firm-antpool-offers-refund-for-3-million-"
        "record-transfer-fee",
        "size, counts",
    ),
    Accident(
        Transaction(
            hash="inscription-of-4-mb-2023",
            size=3_940_000,
            weight=3_940_300,
            fee=0,
            inputs_count=1,
            outputs_count=1,
            input_value=10_000,
            output_value=10_000,
        ),
        "February 2023: a picture of 3.94 MB fills block 774,628, without a fee",
        "https://www.coindesk.com/tech/2023/02/02/giant-bitcoin-taproot-wizard-nft-minted-in-"
        "collaboration-with-luxor-mining-pool/",
        "counts, 10,000 sat moved",
    ),
    Accident(
        Transaction(
            hash="consolidation-of-1-mb-2015",
            size=999_657,
            weight=3_998_628,
            fee=0,
            inputs_count=5_569,
            outputs_count=1,
            input_value=5_569_000,
            output_value=5_569_000,
        ),
        "July 2015: 5,569 inputs in one transaction of 1 MB, 25 seconds to verify",
        "https://rusty.ozlabs.org/?p=522",
        "1,000 sat an input",
    ),
)


def judged(champion: Champion) -> list[dict[str, object]]:
    """Each accident with its score and whether it would have been flagged."""
    values = [[getattr(a.transaction, name) for name in NUMERIC_FIELDS] for a in ACCIDENTS]
    rows: NDArray[np.int64] = np.array(values, np.int64)
    scores = champion.scores(rows)
    flags = champion.flags(rows, scores)
    return [
        {"accident": a.words, "score": float(s), "flagged": bool(f), "source": a.source}
        | {"assumed": a.assumed}
        for a, s, f in zip(ACCIDENTS, scores, flags, strict=True)
    ]
