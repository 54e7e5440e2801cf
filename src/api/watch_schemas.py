"""What the routes of the watch list take and answer, as the OpenAPI document shows it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from api.callers import Author
from api.schemas import TransactionNumbers
from core.severity import Severity
from core.watch_list import EntryKind, WatchedEntry

MOST_GIVEN = 1_000
"""Entries in one body of JSON; a file takes more."""

Entry = Annotated[str, Field(description="The address, the script in hex, or the hash")]
Name = Annotated[str, Field(description="Whose it is, in words")]


class WatchListChange(BaseModel):
    """Entries to put on the list; one that is on it already is changed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    entries: Annotated[
        list[WatchedEntry], Field(min_length=1, max_length=MOST_GIVEN, fail_fast=True)
    ]
    author: Author | None = None


class EntryWatched(TypedDict):
    """One entry, as its last change left it."""

    entry: Entry
    kind: Annotated[EntryKind, Field(description="What the entry is")]
    name: Name
    reason: Annotated[str, Field(description="Why it is watched")]
    severity: Annotated[Severity, Field(description="How much it matters")]
    author: Annotated[str, Field(description="Who changed it last")]
    changed_at: Annotated[datetime, Field(description="When that was")]


class EntryChange(EntryWatched):
    """One change of an entry."""

    action: Annotated[
        Literal["added", "changed", "removed"], Field(description="What the change was")
    ]


class WatchListPage(TypedDict):
    """A part of the list in force, by entry."""

    entries: Annotated[list[EntryWatched], Field(description="The entries, by entry")]
    matching: Annotated[int, Field(description="Entries that the search finds")]
    total: Annotated[int, Field(description="Entries in force")]


class WatchListChanged(TypedDict):
    """What a change has done; it holds in the stream within 30 seconds."""

    added: Annotated[int, Field(description="Entries that were not on the list")]
    changed: Annotated[int, Field(description="Entries with another name, reason or severity now")]
    unchanged: Annotated[int, Field(description="Entries that were on the list just so")]
    total: Annotated[int, Field(description="Entries in force now")]
    warnings: Annotated[
        list[str], Field(description="Addresses with an impossible checksum, 20 at most")
    ]


class EntryRemoved(TypedDict):
    """An entry that is not on the list any more."""

    removed: Entry
    total: Annotated[int, Field(description="Entries in force now")]


class EntryHistory(TypedDict):
    """Every change of an entry, the newest first."""

    changes: Annotated[list[EntryChange], Field(description="The newest first; 1,000 at most")]


class EntrySeen(TypedDict):
    """What an entry did in one transaction."""

    entry: Entry
    name: Annotated[str | None, Field(description="Its name on the list; null if it is not there")]
    severity: Annotated[Severity | None, Field(description="Its severity, likewise")]
    what: Annotated[
        Literal["paid", "was paid", "seen"],
        Field(description="`seen` is a transaction that is on the list itself"),
    ]
    value: Annotated[
        int,
        Field(description="Satoshi that it paid or was paid; of a transaction all that it pays"),
    ]
    transaction_hash: Annotated[str, Field(description="The transaction")]
    event_time: Annotated[datetime, Field(description="When it was seen, or its block's time")]


class WatchListSeen(TypedDict):
    """What the lake has seen of the list in the last days, the newest first."""

    seen: Annotated[list[EntrySeen], Field(description="The newest first")]
    since: Annotated[datetime, Field(description="The earliest time that was looked at")]
    more: Annotated[bool, Field(description="Whether there is more than was asked for")]


class WatchMatch(TypedDict):
    """An entry of the list, and what it did in a transaction."""

    entry: Entry
    name: Name
    severity: Annotated[Severity, Field(description="How much it matters")]
    reason: Annotated[str, Field(description="Why it is watched")]
    what: Annotated[str, Field(description="What it did: paid, was paid, seen, replaced ...")]
    value: Annotated[int | None, Field(description="Satoshi that it paid or was paid, or null")]


class WatchedEvent(TransactionNumbers):
    """A transaction that touches the watch list; amounts in satoshi."""

    transaction_hash: Annotated[str, Field(description="The transaction")]
    explanation: Annotated[str, Field(description="What was watched, in a sentence")]
    watched: Annotated[list[WatchMatch], Field(description="The most severe matches")]
    watched_count: Annotated[int, Field(description="All matches")]
    watch_severity: Annotated[Severity, Field(description="The highest of its matches")]
    replaces: Annotated[list[str], Field(description="Hashes of what it replaces")]
