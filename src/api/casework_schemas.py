"""The bodies of requests and answers about marks and mutes, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from typing_extensions import TypedDict

from api.callers import Author
from core.address_history import canonical
from core.detector.patterns import PATTERNS
from core.detector.verdict import FlaggedBy
from core.marks import Mark
from core.mutes import RANGES
from core.transaction import Address, Count, Money

MOST_MARKED = 1_000
"""Transactions that one request marks at most."""

MAX_NOTE = 500
"""Characters of a note."""

HASH_PATTERN = "^[0-9a-f]{64}$"

Note = Annotated[
    str,
    Field(
        max_length=MAX_NOTE,
        pattern=r"^[^\p{C}]*$",
        description="Why, in a line of text without control characters; shown as text",
    ),
]
TransactionHash = Annotated[str, Field(pattern=HASH_PATTERN)]
MARK_WORDS = "What it was: useful, not_useful (a false alarm), known (rightly unusual, but no news)"
MarkOrWithdrawn = Literal[Mark, "withdrawn"]


class _Written(BaseModel):
    """What every body says: who, and why; a field that is none is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    note: Note = ""
    author: Annotated[
        Author | None, Field(description="Who says so; by default the proxy's or the key's name")
    ] = None


class MarkRequest(_Written):
    """Transactions, and what somebody thinks of them."""

    hashes: Annotated[
        list[TransactionHash],
        Field(
            min_length=1,
            max_length=MOST_MARKED,
            description="Hashes of scored transactions; all are marked, or none",
        ),
    ]
    mark: Annotated[
        MarkOrWithdrawn, Field(description=f"{MARK_WORDS}; or withdrawn, which takes a mark back")
    ]


def _date_and_time(value: Any) -> Any:
    """Refuse a bare number, which pydantic would read as Unix seconds or milliseconds."""
    if not isinstance(value, str) or not ("T" in value.upper() or " " in value):
        raise ValueError("a date and a time with its offset are needed, as text")
    return value


Payer = Annotated[Address, AfterValidator(canonical)]
FeeRate = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]


class MuteRequest(_Written):
    """What is not announced until when: all that is given must hold, and something must be."""

    address: Annotated[
        Payer | None, Field(description="An address that pays, or the digits of its script")
    ] = None
    pattern: Annotated[
        Literal[tuple(pattern.name for pattern in PATTERNS)] | None,  # type: ignore[valid-type]
        Field(description="A known shape that it has"),
    ] = None
    fee_rate_min: Annotated[FeeRate | None, Field(description="Least fee rate in sat/vB")] = None
    fee_rate_max: Annotated[FeeRate | None, Field(description="Most fee rate in sat/vB")] = None
    output_value_min: Annotated[Money | None, Field(description="Least output in satoshi")] = None
    output_value_max: Annotated[Money | None, Field(description="Most output in satoshi")] = None
    outputs_count_min: Annotated[Count | None, Field(description="Least outputs")] = None
    outputs_count_max: Annotated[Count | None, Field(description="Most outputs")] = None
    until: Annotated[
        AwareDatetime,
        BeforeValidator(_date_and_time),
        Field(
            strict=False,
            description="When it ends by itself, ISO 8601 with its offset; a year ahead at most",
        ),
    ]

    @model_validator(mode="after")
    def _mutes_something(self) -> "MuteRequest":
        given = self.model_dump(exclude_none=True).keys() - {"note", "author", "until"}
        if not given:
            raise ValueError("it would mute everything: give an address, a pattern or a range")
        for name in RANGES:
            least, most = getattr(self, f"{name}_min"), getattr(self, f"{name}_max")
            if least is not None and most is not None and least > most:
                raise ValueError(f"{name}: the least is above the most")
        return self


class MarkGiven(TypedDict):
    """A mark, and the verdict when it was given."""

    id: Annotated[str, Field(description="Names this row")]
    transaction_hash: Annotated[str, Field(description="The transaction")]
    mark: Annotated[MarkOrWithdrawn, Field(description=f"{MARK_WORDS}; or withdrawn")]
    note: Annotated[str, Field(description="Why")]
    author: Annotated[str, Field(description="Who")]
    marked_at: Annotated[datetime, Field(description="When")]
    counts: Annotated[bool, Field(description="Whether it is the transaction's newest mark")]
    flagged_by: Annotated[FlaggedBy | None, Field(description="What flagged it then, or null")]
    patterns: Annotated[list[str], Field(description="Its known shapes then")]
    model_version: Annotated[str, Field(description="Version that scored it")]
    anomaly_score: Annotated[float, Field(description="Its score then, 0 to 1")]
    threshold: Annotated[float, Field(description="Score from which that version flagged")]
    fee_rate: Annotated[float, Field(description="Fee rate in sat/vB")]
    market_fee_rate: Annotated[
        float | None, Field(description="Going fee rate then, in sat/vB, or null")
    ]
    output_value: Annotated[int, Field(description="Sum of the outputs in satoshi")]
    event_time: Annotated[datetime, Field(description="When the transaction was seen")]


class MarksGiven(TypedDict):
    """Marks, the newest first."""

    marks: Annotated[list[MarkGiven], Field(description="The newest first")]
    next: Annotated[
        str | None, Field(description="The cursor of the following page; null at the end")
    ]


class GroupPrecision(TypedDict):
    """How many of the flags of a group that people marked were of use."""

    group: Annotated[str, Field(description="The pattern, version or week; none, rules, all")]
    useful: Annotated[int, Field(description="Marked useful")]
    not_useful: Annotated[int, Field(description="Marked not_useful")]
    known: Annotated[int, Field(description="Marked known")]
    precision: Annotated[float, Field(description="useful / (useful + not_useful + known)")]
    low: Annotated[float, Field(description="Lower end of its 95 % interval (Wilson)")]
    high: Annotated[float, Field(description="Upper end of its 95 % interval (Wilson)")]


class PrecisionOfFlags(TypedDict):
    """The precision of flags, as people marked them."""

    all: Annotated[list[GroupPrecision], Field(description="All flags; empty without a mark")]
    pattern: Annotated[list[GroupPrecision], Field(description="By shape; a flag may have several")]
    version: Annotated[list[GroupPrecision], Field(description="By the version that flagged")]
    week: Annotated[list[GroupPrecision], Field(description="By ISO week of the transaction")]


class MuteGiven(TypedDict):
    """A mute; ranges include their bounds, and null is no bound."""

    id: Annotated[str, Field(description="Names it")]
    author: Annotated[str, Field(description="Who made it, or who ended it")]
    note: Annotated[str, Field(description="Why")]
    created_at: Annotated[datetime, Field(description="From when on")]
    until: Annotated[datetime, Field(description="When it ends by itself")]
    ended_at: Annotated[datetime | None, Field(description="When somebody ended it, or null")]
    in_force: Annotated[bool, Field(description="Whether it mutes now")]
    address: Annotated[str | None, Field(description="An address that pays")]
    pattern: Annotated[str | None, Field(description="A known shape")]
    fee_rate_min: Annotated[float | None, Field(description="Least fee rate in sat/vB")]
    fee_rate_max: Annotated[float | None, Field(description="Most fee rate in sat/vB")]
    output_value_min: Annotated[int | None, Field(description="Least output in satoshi")]
    output_value_max: Annotated[int | None, Field(description="Most output in satoshi")]
    outputs_count_min: Annotated[int | None, Field(description="Least outputs")]
    outputs_count_max: Annotated[int | None, Field(description="Most outputs")]


class MutesGiven(TypedDict):
    """Mutes, the newest first."""

    mutes: Annotated[list[MuteGiven], Field(description="The newest first")]
