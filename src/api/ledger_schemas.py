"""The answers about one transaction and one address, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas import Anomaly, NextPage, TransactionNumbers

Satoshi = Annotated[int, Field(description="Value in satoshi")]
AddressText = Annotated[str, Field(description="Address, or the script's digits without one")]
TransactionHash = Annotated[str, Field(description="Its hash")]
Flagged = Annotated[
    bool | None, Field(description="Whether it is flagged; null while it has no score")
]


class InputSeen(TypedDict):
    """One input."""

    address: AddressText
    value: Satoshi
    outpoint: Annotated[
        str, Field(description="The output that it spends, as tx_index:n of the source")
    ]


class OutputSeen(TypedDict):
    """One output; its position is its place in the list."""

    address: AddressText
    value: Satoshi


class RelativeSeen(TypedDict):
    """A transaction of the lake whose outputs this one spends, or that spends one of this."""

    transaction_hash: TransactionHash
    append_time: Annotated[datetime, Field(description="When it arrived")]
    value: Annotated[int, Field(description="Satoshi of the outputs between both")]
    is_anomaly: Flagged


class Confirmed(TypedDict):
    """The block that confirms it; of several the one published last."""

    block_height: Annotated[int, Field(description="Its height")]
    block_hash: Annotated[str, Field(description="Its hash")]
    block_time: Annotated[datetime, Field(description="Its time, as its miner says")]


class Replaced(TypedDict):
    """Two transactions that spend one output."""

    transaction_hash: Annotated[str, Field(description="Hash of the later one")]
    replaced_hash: Annotated[str, Field(description="Hash of the earlier one")]
    fee: Annotated[int, Field(description="Fee of the later one in satoshi")]
    replaced_fee: Annotated[int, Field(description="Fee of the earlier one in satoshi")]
    append_time: Annotated[datetime, Field(description="When the later one arrived")]


class TransactionSeen(TransactionNumbers):
    """A transaction of the lake, with what is inside it and what became of it."""

    transaction_hash: TransactionHash
    append_time: Annotated[datetime, Field(description="When it arrived")]
    source: Annotated[
        Literal["mempool", "block"], Field(description="Where ingestion saw it first")
    ]
    block_height: Annotated[
        int | None, Field(description="Height of its block, or null when seen unconfirmed")
    ]
    facts: Annotated[
        dict[str, Any],
        Field(description="Facts beyond the numbers, by name; null where the source tells none"),
    ]
    inputs: Annotated[
        list[InputSeen] | None,
        Field(
            description="The inputs, at most 1,000; null where only the facts were kept: the "
            "source left something out, or the row is of an earlier version"
        ),
    ]
    inputs_cut: Annotated[bool, Field(description="It has more inputs than are kept")]
    outputs: Annotated[
        list[OutputSeen] | None, Field(description="The outputs, as the inputs are given")
    ]
    outputs_cut: Annotated[bool, Field(description="It has more outputs than are kept")]
    verdict: Annotated[
        Anomaly | None, Field(description="Its score and reasons; null while it has no score")
    ]
    confirmation: Annotated[Confirmed | None, Field(description="Null while it is unconfirmed")]
    replacements: Annotated[
        list[Replaced],
        Field(description="Replacements of which it is one side, at most 20, the newest first"),
    ]
    parents: Annotated[
        list[RelativeSeen],
        Field(
            description="Transactions of the lake that it spends from, at most 25, the newest "
            "first; looked for by the first 20 of its inputs' addresses"
        ),
    ]
    children: Annotated[
        list[RelativeSeen],
        Field(
            description="Transactions of the lake that spend from it, at most 25, the oldest "
            "first; looked for by the first 20 of its outputs' addresses"
        ),
    ]


class TransactionOfAddress(TypedDict):
    """What one transaction did to an address."""

    transaction_hash: TransactionHash
    event_time: Annotated[datetime, Field(description="When it was seen, or its block's time")]
    received: Annotated[int, Field(description="Satoshi that it paid to the address")]
    spent: Annotated[int, Field(description="Satoshi that it spent from the address")]
    is_anomaly: Flagged


class AddressSeen(TypedDict):
    """What the lake has seen of an address: not the whole chain, and not what came before."""

    address: AddressText
    type: Annotated[str | None, Field(description="Type of its script, by its form; or null")]
    since: Annotated[
        datetime, Field(description="When the oldest row of the lake arrived: nothing is older")
    ]
    first_seen: Annotated[datetime, Field(description="Event time of its first transaction")]
    last_seen: Annotated[datetime, Field(description="Event time of its last transaction")]
    transactions_count: Annotated[int, Field(description="Transactions that it is in")]
    received: Annotated[int, Field(description="Satoshi paid to it")]
    spent: Annotated[int, Field(description="Satoshi spent from it")]
    flagged_count: Annotated[int, Field(description="How many of its transactions are flagged")]
    transactions: Annotated[
        list[TransactionOfAddress], Field(description="A page of them, the newest first")
    ]
    next: NextPage
