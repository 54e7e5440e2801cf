"""The bodies of requests and answers, as the OpenAPI document shows them.

Requests are pydantic models, which validate what callers send. Answers are typed dictionaries,
which document and type what the service writes.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model
from typing_extensions import TypedDict

from core.transaction import DescribedTransaction, TransactionSource

EXAMPLE: dict[str, Any] = {
    "hash": "a1b2c3d4e5f6...",
    "size": 250,
    "weight": 1000,
    "fee": 5000,
    "inputs_count": 2,
    "outputs_count": 2,
    "input_value": 1_000_000,
    "output_value": 995_000,
}
"""The transaction of the documentation; anyone can send it."""

MAX_FEE_RATE = 1e9
"""In sat/vB: no going fee rate that a caller gives is higher."""

MARKET_WORDS = "Going fee rate to judge it beside, in sat/vB; by default the present one"

Score = Annotated[
    float, Field(ge=0, le=1, description="Anomaly score from 0 to 1, higher is more unusual")
]
Threshold = Annotated[
    float, Field(ge=0, description="Score from which on transactions are flagged")
]
Hash = Annotated[str, Field(description="Its hash, or the text sent as its hash")]
Version = Annotated[str, Field(description="Version of the registered model that scored")]


class SubmittedTransaction(DescribedTransaction):
    """A transaction to score: eight fields, and optional facts of it; other fields are ignored."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    market_fee_rate: Annotated[
        float | None,
        Field(
            gt=0,
            le=MAX_FEE_RATE,
            allow_inf_nan=False,
            description=MARKET_WORDS,
        ),
    ] = None


class Batch(BaseModel):
    """Transactions to score in one call."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    transactions: list[SubmittedTransaction]
    reasons: Annotated[
        Literal["flagged", "all", "none"],
        Field(description="Which transactions get reasons: those that are flagged, all, or none"),
    ] = "flagged"


def batch_model(max_transactions: int) -> type[Batch]:
    """Make the model of a batch of at most so many transactions."""
    limit = Field(max_length=max_transactions, description="The transactions, in any order")
    limited = Annotated[list[SubmittedTransaction], limit]
    return create_model("Batch", __base__=Batch, transactions=(limited, ...))


class ReasonGiven(TypedDict):
    """One feature that makes the transaction unusual, in the feature's own unit."""

    feature: Annotated[str, Field(description="Name of the feature, as listed by /model")]
    value: Annotated[float, Field(description="Its value for this transaction")]
    usual_low: Annotated[float, Field(description="1 % of recent transactions lie below")]
    usual_high: Annotated[float, Field(description="1 % of recent transactions lie above")]
    contribution: Annotated[
        float, Field(description="By how many splits it shortens the mean path, above 0")
    ]


class ScoredTransaction(TypedDict):
    """The verdict on one transaction. Unusual is not illicit."""

    transaction_hash: Hash
    anomaly_score: Score
    is_anomaly: Annotated[
        bool,
        Field(
            description="The score reaches the threshold or a rule flags it, and it is no coinbase"
        ),
    ]
    explanation: Annotated[str, Field(description="The verdict in sentences")]
    percentile: Annotated[
        float,
        Field(ge=0, le=1, description="Share of recent transactions that score no higher, 0 to 1"),
    ]
    threshold: Threshold
    pattern: Annotated[
        str | None,
        Field(description="Known shape or null; a shape says nothing about intent"),
    ]
    patterns: Annotated[
        list[str], Field(description="Every known shape that it has, the most telling first")
    ]
    reasons: Annotated[list[ReasonGiven], Field(description="Most important first, at most three")]
    model_version: Annotated[
        str, Field(description="Version of the registered model; `rules` while there is none")
    ]
    flagged_by: Annotated[
        Literal["model", "rule", "both"] | None, Field(description="What flags it, or null")
    ]
    market_fee_rate: Annotated[
        float | None,
        Field(description="Going fee rate that it was judged beside, in sat/vB; null if unknown"),
    ]


class Prediction(ScoredTransaction):
    """The answer to one transaction that was sent."""

    warnings: Annotated[
        list[str],
        Field(description="Contradictions between the numbers; and that there is no model yet"),
    ]
    rules: Annotated[
        list[str], Field(description="Names of the rules that flag it, as listed by /model")
    ]
    market_as_of: Annotated[
        str | None, Field(description="Minute of the stream's market, ISO 8601, or null")
    ]
    market_source: Annotated[
        Literal["stream", "caller", "model", "none"],
        Field(
            description="Where the going rate comes from: the stream, the caller, the model's "
            "training, or nowhere (the transaction's own fee rate)"
        ),
    ]


class Predictions(TypedDict):
    """Predictions in the order of the transactions that were sent."""

    predictions: Annotated[list[Prediction], Field(description="One for each transaction")]
    model_version: Version


class Change(TypedDict):
    """A change of one field after which nothing flags the transaction."""

    field: Annotated[str, Field(description="The field; the others stay consistent with it")]
    value: Annotated[int, Field(description="Its value after the change, in its unit")]
    anomaly_score: Annotated[float, Field(description="The score then, 0 to 1")]


class Changes(TypedDict):
    """What would make a flagged transaction ordinary."""

    transaction_hash: Hash
    is_anomaly: Annotated[bool, Field(description="Whether the model or a rule flags it as it is")]
    changes: Annotated[
        list[Change],
        Field(
            description="The smallest change of each field that is enough, the smallest by ratio "
            "first; empty where nothing flags it, and where no change of one field is enough"
        ),
    ]
    threshold: Threshold
    market_fee_rate: Annotated[
        float, Field(description="Going fee rate that it was judged beside, in sat/vB")
    ]
    model_version: Version


class TransactionNumbers(TypedDict):
    """When a transaction of the stream was seen, and its numbers; amounts in satoshi."""

    event_time: Annotated[datetime, Field(description="When it was seen, or its block's time")]
    size: Annotated[int, Field(description="Total size in bytes")]
    weight: Annotated[int, Field(description="Weight in weight units")]
    fee: Annotated[int, Field(description="Fee in satoshi")]
    inputs_count: Annotated[int, Field(description="Number of inputs")]
    outputs_count: Annotated[int, Field(description="Number of outputs")]
    input_value: Annotated[int, Field(description="Sum of the inputs in satoshi")]
    output_value: Annotated[int, Field(description="Sum of the outputs in satoshi")]
    fee_rate: Annotated[float, Field(description="Fee rate in sat/vB")]


class Anomaly(ScoredTransaction, TransactionNumbers):
    """A transaction of the stream; amounts in satoshi."""

    block_height: Annotated[
        int | None, Field(description="Height of its block, or null when seen unconfirmed")
    ]
    package_fee_rate: Annotated[
        float | None,
        Field(
            description="Effective fee rate with a parent or child beside it, in sat/vB, where it "
            "was judged by that; else null"
        ),
    ]
    replaced_fee: Annotated[
        int | None, Field(description="Fee of what it replaces in satoshi, or null")
    ]
    muted_by: Annotated[
        str | None, Field(description="The mute in force that keeps it from being news, or null")
    ]


class Anomalies(TypedDict):
    """Transactions of the stream, the newest first."""

    anomalies: Annotated[list[Anomaly], Field(description="The newest first")]


class StoredTransaction(Anomaly):
    """A transaction of the lake, flagged or not."""

    source: Annotated[TransactionSource, Field(description="Where it was seen first")]
    scored_at: Annotated[datetime, Field(description="When it was scored")]
    times_market: Annotated[
        float | None,
        Field(description="Its fee rate in multiples of the market's; null if unknown"),
    ]


NextPage = Annotated[
    str | None, Field(description="The `cursor` of the next page; null after the last one")
]


class AnomaliesPage(TypedDict):
    """A page of flagged transactions."""

    anomalies: Annotated[list[StoredTransaction], Field(description="The newest first")]
    next: NextPage


class TransactionsPage(TypedDict):
    """A page of scored transactions."""

    transactions: Annotated[list[StoredTransaction], Field(description="The newest first")]
    next: NextPage


class Health(TypedDict):
    """The process answers."""

    status: Annotated[Literal["ok"], Field(description="Always ok")]


class Readiness(TypedDict):
    """A model is in service."""

    status: Annotated[Literal["ready"], Field(description="Always ready")]
    model_version: Version
    trained_at: Annotated[str, Field(description="ISO 8601")]
    model_age_seconds: Annotated[float, Field(description="Seconds since it was trained")]
    problem: Annotated[
        str | None, Field(description="Why a newer model is not in service, where one should be")
    ]


class FeatureUsed(TypedDict):
    """One feature of the model."""

    name: Annotated[str, Field(description="Its name in reasons")]
    words: Annotated[str, Field(description="Its name in explanations")]
    formula: Annotated[str, Field(description="How it is computed from the transaction's fields")]
    unit: Annotated[str, Field(description="Unit of its value")]
    source: Annotated[str, Field(description="Where the formula comes from")]
    beside_market: Annotated[
        bool, Field(description="Measured, and its usual range given, in multiples of the market")
    ]
    usual_low: Annotated[float, Field(description="1 % of recent transactions lie below")]
    usual_high: Annotated[float, Field(description="1 % of recent transactions lie above")]


class RuleUsed(TypedDict):
    """One rule that flags beside the model."""

    name: Annotated[str, Field(description="Its name in predictions")]
    words: Annotated[str, Field(description="What it says of a transaction")]
    source: Annotated[str, Field(description="Where its limits come from")]


class MarketNow(TypedDict):
    """What others pay, of the stream's newest minute."""

    fee_rate: Annotated[float, Field(description="Going fee rate in sat/vB: the median")]
    low: Annotated[float, Field(description="A tenth of them pay less, in sat/vB")]
    high: Annotated[float, Field(description="A tenth of them pay more, in sat/vB")]
    rows: Annotated[int, Field(description="Transactions that it was computed from")]
    as_of: Annotated[str, Field(description="Its minute, ISO 8601")]


class ModelDescription(TypedDict):
    """The model in service."""

    name: Annotated[str, Field(description="Name of the registered model")]
    version: Version
    alias: Annotated[str, Field(description="Alias that the API follows")]
    trained_at: Annotated[str, Field(description="ISO 8601")]
    origin: Annotated[
        Literal["live", "simulated"], Field(description="Data that it was trained on")
    ]
    rows: Annotated[int, Field(description="Transactions that its threshold was computed from")]
    threshold: Score
    budget: Annotated[float, Field(description="Share of traffic that it may flag, 0 to 1")]
    features: Annotated[list[FeatureUsed], Field(description="The features that it uses")]
    rules: Annotated[list[RuleUsed], Field(description="The rules that flag beside it")]
    market: Annotated[
        MarketNow | None,
        Field(description="What transactions are judged beside now; null while there is no stream"),
    ]
    facts: Annotated[
        dict[str, Any], Field(description="Facts from its training: evaluation, sample, drift")
    ]
