"""What a transaction is: the only schema, with its units and bounds.

The producer publishes it, the stream validates records with it, and the API accepts it as a request
body. Money is integer satoshi, time is Unix seconds, size is bytes and weight is weight units (four
per virtual byte, BIP 141).

>>> Transaction(hash="a1b2", size=250, weight=1000, fee=5000, inputs_count=2, outputs_count=2,
...             input_value=1_000_000, output_value=995_000).fee_rate
20.0
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

COIN = 100_000_000
"""Satoshi in one bitcoin."""

MAX_MONEY = 21_000_000 * COIN
"""No amount can exceed the coins that will ever exist (Bitcoin Core, `consensus/amount.h`)."""

MAX_WEIGHT = 4_000_000
"""Weight units in a full block (BIP 141); a size in bytes can never be more."""

MAX_COUNT = MAX_WEIGHT // 36
"""Inputs or outputs in a full block: an output takes at least 9 bytes of 4 weight units each."""

MAX_BLOCK_TRANSACTIONS = MAX_WEIGHT // 240
"""Transactions in a full block: each has at least 60 bytes of 4 weight units (Bitcoin Core,
`consensus/consensus.h`, `MIN_TRANSACTION_WEIGHT`)."""

MAX_HEIGHT = 2**31
"""No block is higher for the next 40,000 years."""

MAX_OUTPOINTS = 1_000
"""Inputs, and outputs, kept one by one of one transaction: its record stays far below 4 MiB."""

MAX_ADDRESS = 256
"""Characters kept of an address, or of the script where there is none; an address has up to 90."""

MAX_SCRIPT_TYPES = 100
"""Script types named of one transaction; there are eleven, and ingestion names each once."""

Money = Annotated[int, Field(ge=0, le=MAX_MONEY)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
UnixTime = Annotated[int, Field(ge=0, le=2**32 - 1)]
HexHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ScriptTypes = Annotated[
    list[Annotated[str, Field(max_length=32)]],
    Field(max_length=MAX_SCRIPT_TYPES, fail_fast=True),
]
Outpoints = Annotated[
    list[Annotated[str, Field(max_length=32)]], Field(max_length=MAX_OUTPOINTS, fail_fast=True)
]
"""A list ends its validation at the first fault: a million faults would fill the memory."""

Address = Annotated[str, Field(pattern=rf"^[0-9A-Za-z]{{1,{MAX_ADDRESS}}}$")]
"""An address; where an output has none, the hexadecimal digits of its script, cut."""

Addresses = Annotated[list[Address], Field(max_length=MAX_OUTPOINTS, fail_fast=True)]
Values = Annotated[list[Money], Field(max_length=MAX_OUTPOINTS, fail_fast=True)]

TransactionSource = Literal["mempool", "block"]
"""Where the producer saw a transaction first."""


CoinjoinProtocol = Literal["whirlpool", "wasabi_2", "wasabi_1", "joinmarket", "coinjoin"]
"""Who makes a coinjoin; `coinjoin` is one of none of the others."""


class Transaction(BaseModel):
    """The hash and the seven numbers that a score is computed from; unknown fields are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    hash: Annotated[
        str,
        Field(min_length=1, max_length=128, description="Transaction id, or any text naming it"),
    ]
    size: Annotated[int, Field(ge=1, le=MAX_WEIGHT, description="Total size in bytes")]
    weight: Annotated[int, Field(ge=1, le=MAX_WEIGHT, description="Weight in weight units")]
    fee: Annotated[Money, Field(description="Fee in satoshi")]
    inputs_count: Annotated[Count, Field(description="Number of inputs")]
    outputs_count: Annotated[Count, Field(description="Number of outputs")]
    input_value: Annotated[
        Money, Field(description="Sum of the inputs in satoshi; 0 for a coinbase transaction")
    ]
    output_value: Annotated[Money, Field(description="Sum of the outputs in satoshi")]

    @property
    def fee_rate(self) -> float:
        """Fee per virtual byte, in sat/vB: fee / (weight / 4)."""
        return self.fee * 4 / self.weight


NUMERIC_FIELDS = tuple(name for name in Transaction.model_fields if name != "hash")
"""The seven numbers of a transaction, in the order of every (n, 7) array in this project."""

MARKET_FEE_RATE = "market_fee_rate"
"""The going fee rate when a transaction was seen, in sat/vB; `core/market.py` computes it."""

PACKAGE_FEE_RATE = "package_fee_rate"
"""The effective fee rate that a transaction is judged by, in sat/vB; null where it is its own."""

REPLACED_FEE = "replaced_fee"
"""The fee of what a transaction replaces, in satoshi; null where it replaces nothing."""

DETECTOR_FIELDS = (*NUMERIC_FIELDS, MARKET_FEE_RATE)
"""What a score is computed from, in the order of every (n, 8) array in this project."""

numbers_of = attrgetter(*NUMERIC_FIELDS)
"""The seven numbers of one transaction, as a tuple in that order."""


COINBASE_FIELDS = ("fee", "inputs_count", "input_value", "output_value")
"""The fields that `is_coinbase` takes."""


def is_coinbase(*, fee: Any, inputs_count: Any, input_value: Any, output_value: Any) -> Any:
    """Whether a transaction creates coins: its one input spends nothing, and it pays no fee.

    The arguments are numbers of one transaction, or arrays of one length for many; the result is
    a bool or an array of them.

    >>> is_coinbase(fee=0, inputs_count=1, input_value=0, output_value=312_500_000)
    True
    >>> is_coinbase(fee=0, inputs_count=5_569, input_value=0, output_value=312_500_000)
    False
    """
    return (inputs_count == 1) & (input_value == 0) & (fee == 0) & (output_value > 0)


COINBASE_SQL = "(inputs_count = 1 AND input_value = 0 AND fee = 0 AND output_value > 0)"
"""`is_coinbase` as a condition of SQL on the columns of a table."""


class DescribedTransaction(Transaction):
    """A transaction with the facts of its raw JSON beyond the numbers; an unknown fact is None."""

    largest_output: Annotated[Money | None, Field(description="Largest output in satoshi")] = None
    smallest_output: Annotated[Money | None, Field(description="Smallest output in satoshi")] = None
    equal_outputs: Annotated[
        Count | None, Field(description="Outputs in the largest group of one same value above 0")
    ] = None
    coinjoin: Annotated[
        CoinjoinProtocol | None, Field(description="Who makes this coinjoin, if it is one")
    ] = None
    token_transfer: Annotated[
        bool | None, Field(description="One owner moves outputs of 330 or 546 satoshi")
    ] = None
    token_sale: Annotated[
        bool | None,
        Field(description="A spender pays others for an output of up to 10,000 satoshi"),
    ] = None
    dust_outputs: Annotated[
        Count | None, Field(description="Spendable outputs below their dust limit")
    ] = None
    anchor_outputs: Annotated[Count | None, Field(description="Pay-to-anchor outputs")] = None
    op_return: Annotated[bool | None, Field(description="An output carries data")] = None
    data_bytes: Annotated[
        int | None, Field(ge=0, le=MAX_WEIGHT, description="Bytes of the outputs that carry data")
    ] = None
    burned_value: Annotated[
        Money | None, Field(description="Satoshi in outputs that carry data: nobody can spend them")
    ] = None
    version: Annotated[
        int | None, Field(ge=0, le=2**32 - 1, description="Version; 3 is TRUC (BIP 431)")
    ] = None
    rbf: Annotated[
        bool | None,
        Field(description="Signals replaceability (BIP 125); nodes replace others as well"),
    ] = None
    lock_time: Annotated[
        UnixTime | None, Field(description="nLockTime: block height, or time from 500,000,000 on")
    ] = None
    input_types: Annotated[
        ScriptTypes | None, Field(description="Script types that are spent, sorted")
    ] = None
    output_types: Annotated[
        ScriptTypes | None, Field(description="Script types that are paid, sorted")
    ] = None
    addresses_count: Annotated[
        int | None, Field(ge=0, le=2 * MAX_COUNT, description="Distinct addresses")
    ] = None
    address_reused: Annotated[
        bool | None, Field(description="An input's address is paid again by an output")
    ] = None
    spent_outpoints: Annotated[
        Outpoints | None, Field(description="Outpoints spent, as tx_index:n")
    ] = None
    outpoints_cut: Annotated[
        bool | None, Field(description="There are more inputs than are kept")
    ] = None
    input_addresses: Annotated[
        Addresses | None,
        Field(description="Who is spent from, as spent_outpoints: address or script"),
    ] = None
    input_values: Annotated[
        Values | None, Field(description="Satoshi of each input, as spent_outpoints")
    ] = None
    output_addresses: Annotated[
        Addresses | None, Field(description="Who is paid by each output: address or script")
    ] = None
    output_values: Annotated[
        Values | None, Field(description="Satoshi of each output, as output_addresses")
    ] = None
    outputs_cut: Annotated[
        bool | None, Field(description="There are more outputs than are kept")
    ] = None


PATTERN_FACTS = (
    *("coinjoin", "token_transfer", "token_sale", "dust_outputs"),
    *("anchor_outputs", "op_return", "burned_value", "version"),
)
"""The facts beyond the seven numbers that a pattern is recognised by; the first is text."""


class ObservedTransaction(DescribedTransaction):
    """What ingestion publishes to `bitcoin-transactions`: a transaction and where it was seen."""

    hash: Annotated[HexHash, Field(description="Transaction id: 64 hexadecimal digits")]
    time: Annotated[UnixTime | None, Field(description="When the source says it was seen")] = None
    first_seen: Annotated[UnixTime, Field(description="When the producer saw it first")]
    block_height: Annotated[
        int | None, Field(ge=0, le=MAX_HEIGHT, description="Height of the block that confirms it")
    ] = None
    source: Annotated[TransactionSource, Field(description="Where the producer saw it first")]

    @model_validator(mode="after")
    def _no_coinbase_in_a_mempool(self) -> Self:
        if self.source == "mempool" and is_coinbase(
            fee=self.fee,
            inputs_count=self.inputs_count,
            input_value=self.input_value,
            output_value=self.output_value,
        ):
            raise PydanticCustomError(
                "coinbase_unconfirmed", "a coinbase transaction is in a block, never in a mempool"
            )
        return self


class Block(BaseModel):
    """What ingestion publishes to `bitcoin-blocks`: one mined block, as its transactions' hashes.

    After a reorganisation the blocks of the winning branch are published as well. Of several blocks
    at one height, the one published last is valid.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    hash: HexHash
    height: Annotated[int, Field(ge=0, le=MAX_HEIGHT)]
    previous_hash: HexHash
    time: UnixTime
    transaction_hashes: Annotated[
        list[HexHash], Field(max_length=MAX_BLOCK_TRANSACTIONS, fail_fast=True)
    ]


class DeadLetter(BaseModel):
    """What ingestion publishes to `bitcoin-transactions-dlq`: an unusable item and the reason."""

    model_config = ConfigDict(strict=True, frozen=True)

    reason: str
    time: UnixTime
    original: str


def tx_index(transaction_hash: str) -> int:
    """The API's number of a transaction: 53 bits of the hash in its internal byte order.

    >>> tx_index("25e4fb7042fc25fe98582adf598357e3b0bc60021cd80de628599512abb63598")
    5355406891307691
    """
    return int.from_bytes(bytes.fromhex(transaction_hash)[:-9:-1]) >> 11


INDEX_END = 2**53
"""The API's numbers of transactions lie below it: JavaScript counts exactly so far."""


def parent_tails(outpoints: Iterable[str] | None) -> set[str]:
    """The last twelve digits of the hash of each transaction of which an output is spent.

    >>> parent_tails(["5355406891307691:0", "5355406891307691:1"])
    {'9512abb63598'}
    """
    indices = {int(outpoint.partition(":")[0]) for outpoint in outpoints or ()}
    return {hash_tail(index) for index in indices if index < INDEX_END}


TAIL_DIGITS = 12
"""Hexadecimal digits of a hash that `hash_tail` gives."""


def hash_tail(index: int) -> str:
    """The last twelve hexadecimal digits of the hash, which the API's number of it tells.

    Raises `OverflowError` from `INDEX_END` on.

    >>> hash_tail(5355406891307691)
    '9512abb63598'
    """
    return (index >> 5).to_bytes(6)[::-1].hex()
