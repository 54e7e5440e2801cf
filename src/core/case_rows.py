"""What is written of cases, and what state a case is in: pure, for the service, API and dashboard.

A case is a number and the flags that belong together. The case builder alone writes
`case_members`, one row a message that joined; the API alone writes `case_events`, what people did.
The state follows from both and is written nowhere.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

import pyarrow as pa

from core.tables import TIMESTAMP

Action = Literal["seen", "assigned", "note", "closed", "reopened"]
ACTIONS: tuple[Action, ...] = get_args(Action)
"""What a person can do with a case."""

Label = Literal["useful", "not_useful", "known", "other"]
LABELS: tuple[Label, ...] = get_args(Label)
"""Why a case is closed: what was learned about its flags."""

State = Literal["new", "open", "closed"]
STATES: tuple[State, ...] = get_args(State)
"""Nobody has looked at it (since it was closed); somebody has; it is done with."""

Why = Literal["first", "same", "spends", "spent_by", "replaces", "address", "payer", "wave"]
WHY_WORDS: dict[Why, str] = {
    "first": "nothing: it opened the case",
    "same": "the same transaction",
    "spends": "an output that it spends",
    "spent_by": "its output, spent there",
    "replaces": "the same output, spent twice",
    "address": "a shared address",
    "payer": "the same payer and pattern",
    "wave": "the same pattern, number of outputs and amount",
}
"""By what a member is linked to another transaction, in words."""

WATCHED = pa.struct([pa.field(name, pa.string()) for name in ("entry", "name", "severity", "what")])
"""A hit of the watch list, as the stream announces it."""

CASE_MEMBERS = pa.schema(
    [
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("number", pa.int64(), nullable=False),
        pa.field("merged_into", pa.int64()),
        pa.field("joined_at", TIMESTAMP, nullable=False),
        pa.field("key", pa.string()),
        pa.field("hash", pa.string()),
        pa.field("first", pa.bool_()),
        pa.field("kind", pa.string()),
        pa.field("why", pa.list_(pa.string())),
        pa.field("linked_to", pa.string()),
        pa.field("severity", pa.string()),
        *(pa.field(name, TIMESTAMP) for name in ("event_time", "append_time", "scored_at")),
        pa.field("source", pa.string()),
        *(
            pa.field(name, pa.int64())
            for name in (
                *("block_height", "fee", "inputs_count", "outputs_count"),
                *("input_value", "output_value"),
            )
        ),
        *(
            pa.field(name, pa.float64())
            for name in (
                *("fee_rate", "market_fee_rate", "anomaly_score", "threshold", "percentile"),
            )
        ),
        pa.field("is_anomaly", pa.bool_()),
        *(pa.field(n, pa.string()) for n in ("pattern", "flagged_by", "model_version")),
        pa.field("patterns", pa.list_(pa.string())),
        pa.field("explanation", pa.string()),
        pa.field("watched", pa.list_(WATCHED)),
        *(
            pa.field(name, pa.list_(pa.string()))
            for name in ("input_addresses", "output_addresses", "spent_outpoints")
        ),
        pa.field("output_values", pa.list_(pa.int64())),
    ]
)
"""One row a message that joined a case; amounts in satoshi, fee rates in sat/vB.

`sequence` counts the rows from 1. `key` names the message: no two rows have the same. `first` says
that no earlier row has the transaction, so that sums take each once. A row with `merged_into` has
no transaction: it says that from then on the case `number` is a part of that one.
"""

CASE_EVENTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("number", pa.int64(), nullable=False),
        pa.field("at", TIMESTAMP, nullable=False),
        pa.field("author", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("note", pa.string()),
        pa.field("assignee", pa.string()),
        pa.field("through", pa.int64(), nullable=False),
    ]
)
"""One row an action; `through` is the `sequence` of the case's newest member at that time."""


class Handling(NamedTuple):
    """What people's actions come to.

    `closed_through` is the `sequence` up to which the last closing holds, None where it is not
    closed or was reopened by hand. `touched` says that somebody has acted since it was new.
    """

    closed_through: int | None = None
    touched: bool = False
    label: str | None = None
    owner: str | None = None
    last_at: datetime | None = None
    last_author: str | None = None
    last_action: str | None = None

    def after(self, event: Mapping[str, Any]) -> "Handling":
        """What they come to with one more event, a row of `case_events`."""
        action, through = event["action"], event["through"]
        done = self._replace(last_at=event["at"], last_author=event["author"], last_action=action)
        if action == "closed":
            return done._replace(closed_through=through, touched=False, label=event["label"])
        if action == "reopened":
            return done._replace(closed_through=None, touched=True, label=None)
        if action == "assigned":
            done = done._replace(owner=event["assignee"])
        return done._replace(touched=self.touched or not self.is_closed(through))

    def is_closed(self, sequence: int) -> bool:
        """Whether a case whose newest member has this `sequence` is closed."""
        return self.closed_through is not None and sequence <= self.closed_through

    def is_reopened(self, sequence: int) -> bool:
        """Whether something joined the case after it was closed."""
        return self.closed_through is not None and sequence > self.closed_through

    def state(self, sequence: int) -> State:
        """The state of a case whose newest member has this `sequence`.

        >>> closed = {"action": "closed", "label": "useful", "through": 7, "at": None, "author": ""}
        >>> [Handling().after(closed).state(newest) for newest in (7, 8)]
        ['closed', 'new']
        """
        if self.is_closed(sequence):
            return "closed"
        return "open" if self.touched else "new"


NOT_HANDLED = Handling()


def handling(events: Iterable[Mapping[str, Any]]) -> Handling:
    """What the events of one case, in any order, come to."""
    result = NOT_HANDLED
    for event in sorted(events, key=lambda event: (event["at"], event["id"])):
        result = result.after(event)
    return result


def refusal(state: State, action: Action) -> str | None:
    """Why an action is not possible in a state, None where it is."""
    if state == "closed" and action not in ("note", "reopened"):
        return "It is closed: reopen it first."
    if state != "closed" and action == "reopened":
        return "It is not closed."
    return None
