"""The bodies of requests and answers about cases, as the OpenAPI document shows them."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from api.callers import Author
from core.case_rows import Action, Label, State, Why
from core.severity import Severity

MAX_NOTE = 2_000
"""Characters of a note."""

Note = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_NOTE,
        pattern=r"^[^\p{C}]+$",
        description="A line of text without control characters; shown as text",
    ),
]


class CaseEventRequest(BaseModel):
    """What somebody does with a case."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    action: Annotated[
        Action,
        Field(
            description="`closed` needs a label, `note` a note and `assigned` an assignee, null for"
            " nobody; a closed case takes notes and can be reopened, no more"
        ),
    ]
    label: Annotated[Label | None, Field(description="Why it is closed; only for `closed`")] = None
    note: Annotated[Note | None, Field(description="In words, with any action")] = None
    assignee: Annotated[
        Author | None, Field(description="Who works on it from now on, null for nobody")
    ] = None
    author: Annotated[Author | None, Field(description="Who does this")] = None


class Case(TypedDict):
    """A case: flags that belong together. Unusual is not illicit."""

    number: Annotated[int, Field(description="Its number, which it keeps")]
    state: Annotated[
        State, Field(description="Nobody has looked at it, somebody has, or it is done with")
    ]
    reopened: Annotated[bool, Field(description="Something joined after it was closed")]
    severity: Annotated[Severity, Field(description="The highest of its members")]
    patterns: Annotated[list[str], Field(description="Every known shape of its members")]
    explanation: Annotated[str, Field(description="That of the first of its most severe members")]
    transactions: Annotated[int, Field(description="Number of transactions")]
    value: Annotated[int, Field(description="Sum of their outputs in satoshi")]
    first_time: Annotated[datetime, Field(description="Time of the first transaction")]
    last_time: Annotated[datetime, Field(description="Time of the last transaction")]
    opened_at: Annotated[datetime, Field(description="When it was opened")]
    joined_at: Annotated[datetime, Field(description="When its newest member joined")]
    label: Annotated[str | None, Field(description="Why it was closed last, or null")]
    assignee: Annotated[str | None, Field(description="Who works on it, or null")]
    last_action: Annotated[str | None, Field(description="What was done last, or null")]
    last_author: Annotated[str | None, Field(description="Who did that, or null")]
    merged: Annotated[list[int], Field(description="Numbers of cases that became part of it")]


class StateCounts(TypedDict):
    """How many cases the other filters let through, by state."""

    new: Annotated[int, Field(description="Nobody has looked at them since something joined")]
    open: Annotated[int, Field(description="Somebody has looked at them")]
    closed: Annotated[int, Field(description="They are done with")]


class Cases(TypedDict):
    """A page of the queue: the most severe first, then the newest."""

    cases: Annotated[list[Case], Field(description="The most severe first, then the newest")]
    counts: Annotated[StateCounts, Field(description="Cases of each state, by the other filters")]
    next: Annotated[str | None, Field(description="Cursor of the next page, null at the end")]


class WatchHit(TypedDict):
    """A hit of the watch list."""

    entry: Annotated[str, Field(description="The entry")]
    name: Annotated[str, Field(description="Its name")]
    severity: Annotated[str, Field(description="Its severity")]
    what: Annotated[str, Field(description="What the transaction did with it")]


class CaseMember(TypedDict):
    """A message that joined the case; amounts in satoshi."""

    transaction_hash: Annotated[str, Field(description="The transaction")]
    kind: Annotated[str, Field(description="`flagged`, or `watched` for a hit of the watch list")]
    joined_at: Annotated[datetime, Field(description="When it joined")]
    event_time: Annotated[datetime, Field(description="When it was seen, or its block's time")]
    why: Annotated[list[Why], Field(description="Why it belongs to the case")]
    linked_to: Annotated[str | None, Field(description="The first transaction it is linked to")]
    severity: Annotated[Severity, Field(description="How urgent the member is")]
    pattern: Annotated[str | None, Field(description="Its most telling shape, or null")]
    patterns: Annotated[list[str], Field(description="Every shape that it has")]
    flagged_by: Annotated[str | None, Field(description="model, rule, both or null")]
    anomaly_score: Annotated[float | None, Field(description="From 0 to 1")]
    threshold: Annotated[float | None, Field(description="Score from which on it is flagged")]
    output_value: Annotated[int | None, Field(description="Sum of its outputs in satoshi")]
    fee: Annotated[int | None, Field(description="Its fee in satoshi")]
    fee_rate: Annotated[float | None, Field(description="In sat/vB")]
    explanation: Annotated[str | None, Field(description="In sentences")]
    watched: Annotated[list[WatchHit], Field(description="Hits of the watch list")]


class CaseEvent(TypedDict):
    """What somebody did with a case."""

    id: Annotated[str, Field(description="Names the event")]
    number: Annotated[int, Field(description="The case that it was done with")]
    at: Annotated[datetime, Field(description="When")]
    author: Annotated[str, Field(description="Who")]
    action: Annotated[Action, Field(description="What was done")]
    label: Annotated[Label | None, Field(description="Why it was closed")]
    note: Annotated[str | None, Field(description="In words; show it as text")]
    assignee: Annotated[str | None, Field(description="Who works on it from then on, or null")]


class CaseDetails(TypedDict):
    """A case with its members and its history."""

    case: Annotated[Case, Field(description="The case itself")]
    members: Annotated[list[CaseMember], Field(description="The newest first, 500 at most")]
    events: Annotated[list[CaseEvent], Field(description="The newest first, 500 at most")]


class CaseEventGiven(TypedDict):
    """What was done, and the case after it."""

    event: Annotated[CaseEvent, Field(description="What was written down")]
    case: Annotated[Case, Field(description="The case after it")]
