"""Historic accidents and oddities, as transactions that a model can score.

Where a source leaves a field open, it has the value of the commonest payment: one P2WPKH input and
two outputs, 222 bytes, 561 weight units. `assumed` names these fields. A run shows how its model
scores each accident, though traffic and fees were different at the time.
"""

from dataclasses import dataclass

import numpy as np

from core.detector.champion import Champion
from core.transaction import COIN, Transaction, numbers_of

_COMMONEST_PAYMENT = {"size": 222, "weight": 561, "inputs_count": 1, "outputs_count": 2}


@dataclass(frozen=True)
class Accident:
    """One well-known transaction, what happened, and which fields its source leaves open."""

    transaction: Transaction
    description: str
    source: str
    assumed: str


def _overpaid(name: str, fee_btc: float, paid_btc: float) -> Transaction:
    fee, paid = round(fee_btc * COIN), round(paid_btc * COIN)
    return Transaction(
        hash=name, fee=fee, output_value=paid, input_value=fee + paid, **_COMMONEST_PAYMENT
    )


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


def score_accidents(champion: Champion) -> list[dict[str, object]]:
    """The score of each accident, and whether the champion flags it, in the market it was made in.

    The going rates of their days are not known to the minute, so the model's own stands for them.
    """
    market = champion.calibration.facts["market_fee_rate"]
    rows = np.array([[*numbers_of(accident.transaction), market] for accident in ACCIDENTS])
    scores = champion.scores(rows)
    flags = champion.flags(rows, scores)
    return [
        {
            "accident": accident.description,
            "score": float(score),
            "flagged": bool(flagged),
            "source": accident.source,
            "assumed": accident.assumed,
        }
        for accident, score, flagged in zip(ACCIDENTS, scores, flags, strict=True)
    ]
