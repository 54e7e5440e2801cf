"""The table of the generated traffic: who makes transactions, how many, and of which form.

Shares, counts, sizes, values and fee rates are fitted to 8,131 unconfirmed transactions of March
2024 (`mempool_2024.jsonl.gz` of the sample data); a test compares the quantiles. That month was
rich in token transfers (inscriptions), so they are a third of the traffic. The literature
describes the behaviours:

[1] S. Meiklejohn et al., A Fistful of Bitcoins, IMC 2013: payments with change, sweeps.
[2] M. Möser and A. Narayanan, Resurrecting Address Clustering in Bitcoin, FC 2022: consolidation.
[3] Optech, Payment batching: one transaction with an output for each withdrawal.
[4] The protocols of coinjoins: `core/blockchain_json/coinjoins.py` names their sources.
[5] Bitcoin Core `datacarriersize`: OP_RETURN, 83 bytes until 30.0, then of any length; ordinals and
    BRC-20: witness envelopes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from core.transaction import CoinjoinProtocol


@dataclass(frozen=True)
class Counts:
    """A number of inputs or outputs: log-normal around `typical`, kept within low..high."""

    typical: float
    spread: float
    low: int
    high: int


@dataclass(frozen=True)
class Behaviour:
    """One way to use the network.

    - `share` and the weights of the script types spent (`types`) and paid to (`pays`) are relative.
    - `value` is the median in satoshi of all outputs together and `value_spread` the standard
      deviation of its logarithm; None means outputs that only carry a token (see `POSTAGE`).
    - `urgency` is the median bid above the market's floor, as a share of the usual fee rate, and
      `urgency_spread` the standard deviation of its logarithm.
    - `payload` is the median size in bytes of an envelope in the first witness.
    - A `coinjoin` has as many outputs as inputs, whatever `outputs` says; its amounts are those of
      the protocol.
    - With `change` the last output has the script type that is spent; with `data` it is an
      OP_RETURN.
    - `reuse` is the share that spends from one address and pays change back to it, `rbf` the
      share that signals replaceability (BIP 125), and `sales` the share in which the first input
      is another's token, which the payer of all others buys.
    """

    name: str
    share: float
    inputs: Counts
    outputs: Counts
    types: Mapping[str, float]
    value: float | None
    value_spread: float = 2.5
    urgency: float = 0.35
    urgency_spread: float = 1.1
    payload: float = 0
    payload_spread: float = 0
    change: bool = True
    coinjoin: CoinjoinProtocol | None = None
    data: bool = False
    reuse: float = 0.1
    rbf: float = 0.6
    sales: float = 0
    pays: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(
            {"p2wpkh": 0.5, "p2sh": 0.16, "p2pkh": 0.12, "p2tr": 0.19, "p2wsh": 0.03}
        )
    )


ONE = Counts(1, 0, 1, 1)
TWO = Counts(2, 0, 2, 2)
TAPROOT = {"p2tr": 1.0}
MIXED = {"p2wpkh": 0.62, "p2tr": 0.16, "p2sh": 0.1, "p2pkh": 0.09, "p2wsh": 0.03}
SEGWIT = {"p2wpkh": 1.0}
POOLED = {"p2wpkh": 0.55, "p2wsh": 0.2, "p2sh": 0.13, "p2tr": 0.07, "p2pkh": 0.05}

# fmt: off
BEHAVIOURS = (
    #         name, share              inputs                     outputs                 spends
    Behaviour("token transfer", 0.335, ONE,                       ONE,                    TAPROOT,
              value=None, urgency=0.12, urgency_spread=0.7, payload=150, payload_spread=0.35,
              change=False, rbf=0.9, pays={"p2tr": 0.56, "p2wpkh": 0.44}),
    Behaviour("payment", 0.290,        ONE,                       TWO,                    MIXED,
              value=1_500_000, value_spread=3.4),
    Behaviour("larger payment", 0.110, Counts(2.5, 0.4, 2, 6),    TWO,                    MIXED,
              value=1_200_000, value_spread=3.0, sales=0.14),
    Behaviour("sweep", 0.100,          ONE,                       ONE,                    MIXED,
              value=150_000, value_spread=2.2, change=False),
    Behaviour("batch payout", 0.075,   Counts(1.4, 0.7, 1, 12),   Counts(6, 1.0, 3, 350), MIXED,
              value=9_000_000, value_spread=3.2, urgency=0.5),
    Behaviour("tidying", 0.045,        Counts(2.8, 0.5, 2, 8),    ONE,                    MIXED,
              value=500_000, value_spread=2.2, change=False),
    Behaviour("consolidation", 0.034,  Counts(26, 1.6, 6, 800),   ONE,                    POOLED,
              value=3_000_000, value_spread=1.8, urgency=0.2, change=False, reuse=0.4),
    Behaviour("inscription", 0.013,    ONE,                       Counts(2, 0.6, 1, 12),  TAPROOT,
              value=None, urgency=0.15, payload=4_500, payload_spread=1.5, change=False, rbf=0.9,
              pays=TAPROOT),
    Behaviour("data carrier", 0.010,   Counts(1.1, 0.3, 1, 4),    Counts(2, 0.4, 2, 6),   MIXED,
              value=100_000, value_spread=2.5, data=True),
    Behaviour("Whirlpool", 0.001,      Counts(6.5, 0.2, 5, 8),    ONE,                    SEGWIT,
              value=None, urgency=0.2, change=False, coinjoin="whirlpool", reuse=0.0, rbf=0.0,
              pays=SEGWIT),
    Behaviour("JoinMarket", 0.0004,    Counts(14, 0.25, 10, 20),  ONE,                    SEGWIT,
              value=900_000_000, value_spread=1.2, change=False, coinjoin="joinmarket", reuse=0.0,
              rbf=0.0),
    Behaviour("Wasabi 2", 0.0003,      Counts(180, 0.4, 20, 330), ONE,                    SEGWIT,
              value=9_000_000_000, value_spread=0.8, change=False, coinjoin="wasabi_2", reuse=0.0,
              rbf=0.0),
)
# fmt: on
"""Every behaviour; a batch refers to them by index."""

USUAL_RATE = 15.0
"""The market's usual fee rate in sat/vB in the sample (its median is 14.8)."""

FLOOR = 0.70
"""The lowest bid as a share of the usual rate: mempools of that month evicted lower ones."""

POSTAGE = {
    "p2wpkh": {294: 0.68, 546: 0.32},
    "p2tr": {330: 0.13, 546: 0.79, 600: 0.03, 1_000: 0.05},
}
"""Value of an output that only carries a token, by its script type: its own dust limit (294 and 330
satoshi), that of older wallets (546), or a round figure; shares as in the sample."""

POOLS = {100_000: 0.45, 1_000_000: 0.3, 5_000_000: 0.2, 50_000_000: 0.05}
"""Satoshi of Whirlpool's pools, and their shares."""

LEAST_MIXED = 60_000
"""Satoshi for each output of a coinjoin, so that its amounts are no dust."""

DATA_BYTES = (14, 80)
"""Least and most bytes in an OP_RETURN that nodes of that time relayed."""

LONG_DATA_BYTES = (81, 4_000)
"""Least and most bytes in a longer one, which nodes relay since Bitcoin Core 30.0."""

LONG_DATA_SHARE = 0.05
"""The share of longer ones."""
