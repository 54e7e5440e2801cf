"""The watch list: what it can hold, and which entries of its history are in force.

An entry is an address, an output script or the hash of a transaction. Each change of it is a row of
the casework table `watch_list`; the newest row of an entry counts.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from core.address_checksums import is_mistyped
from core.casework import WATCH_LIST, CaseworkStore
from core.lake import query
from core.severity import Severity
from core.transaction import COIN, MAX_ADDRESS

TABLE = "watch_list"

EntryKind = Literal["address", "script", "transaction"]
MAX_ENTRIES = 200_000
"""Entries that can be in force at one time."""

MAX_NAME, MAX_REASON, MAX_GIVEN_ENTRY = 80, 500, 20_000
"""Characters; a script may be given as long as the longest that Bitcoin runs, in hex."""

_HASH, _SCRIPT = re.compile("[0-9a-f]{64}"), re.compile("([0-9a-f]{2})+")
_ADDRESS = re.compile("[0-9A-Za-z]{14,90}")
"""The shortest, that of an anchor, has 14 characters (BIP 433)."""

_ADDRESS_WORDS = "an address of 14 to 90 letters and digits, a script's hexadecimal digits, or a "
_MICROSECOND = timedelta(microseconds=1)

_NAMED = 5
"""Matches that an explanation names."""

_DEEDS = {
    "paid": "{who} paid {value}",
    "was paid": "{who} was paid {value}",
    "seen": "the transaction itself is on the list as {who}",
    "replaced": "{who} replaces what it had paid before",
    "is replaced": "an earlier transaction of {who} is replaced",
}


def _is_control(character: str) -> bool:
    return unicodedata.category(character)[0] == "C"


def _printable(text: str) -> str:
    is_clean = text.isprintable() or not any(map(_is_control, text))
    if not is_clean or not text.strip():
        raise PydanticCustomError("text", "it is empty or has a control character")
    return text.strip()


Name = Annotated[
    str,
    AfterValidator(_printable),
    Field(min_length=1, max_length=MAX_NAME, description="Whose it is, in words"),
]
Reason = Annotated[
    str,
    AfterValidator(_printable),
    Field(min_length=1, max_length=MAX_REASON, description="Why it is watched"),
]


class WatchedEntry(BaseModel):
    """One entry as it is given: what is watched, its name, the reason and the severity."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: Annotated[
        EntryKind | None, Field(description="What the entry is; by default what it looks like")
    ] = None
    entry: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_GIVEN_ENTRY,
            description="An address, an output script in hex, or the hash of a transaction",
        ),
    ]
    name: Name
    reason: Reason
    severity: Severity = "medium"

    @field_validator("entry")
    @classmethod
    def _in_one_form(cls, entry: str, known: ValidationInfo) -> str:
        return normalized(entry, known.data.get("kind"))[0]

    @model_validator(mode="after")
    def _of_a_kind(self) -> Self:
        object.__setattr__(self, "kind", normalized(self.entry, self.kind)[1])
        return self


def normalized(text: str, kind: EntryKind | None = None) -> tuple[str, EntryKind]:
    """An entry in the form in which transactions carry it, and its kind.

    A script is cut as ingestion cuts it. Raises `PydanticCustomError` where it is none.

    >>> normalized("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4")
    ('bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', 'address')
    >>> normalized("6A0101"), normalized("AB" * 32)[1], normalized("ab" * 32, "script")[1]
    (('6a0101', 'script'), 'transaction', 'script')
    """
    text = text.strip()
    lower = text.lower()
    if kind in (None, "transaction") and _HASH.fullmatch(lower):
        return lower, "transaction"
    if kind in (None, "script") and _SCRIPT.fullmatch(lower):
        return lower[:MAX_ADDRESS], "script"
    if kind in (None, "address") and _ADDRESS.fullmatch(text):
        # BIP 173: upper case means the same, and codes to be photographed have it
        return lower if lower.startswith("bc1") and text == text.upper() else text, "address"
    wanted = {"transaction": "64 hexadecimal digits", "script": "hexadecimal digits in pairs"}
    words = wanted.get(kind or "", _ADDRESS_WORDS + "hash of 64 hexadecimal digits")
    raise PydanticCustomError("entry", "it is not {wanted}", {"wanted": words})


def warning(entry: str, kind: str | None) -> str | None:
    """A sentence where an address has an impossible checksum, which no transaction can pay."""
    if kind != "address" or not is_mistyped(entry):
        return None
    return f"{entry}: its checksum is wrong, so no transaction can have it; is it mistyped?"


def current_list(history: pa.Table) -> pa.Table:
    """The entries in force, by entry: the newest row of each that is not removed."""
    if not history.num_rows:
        return history
    keys = [("entry", "ascending"), ("changed_at", "ascending")]
    order = pc.sort_indices(history.select(["entry", "changed_at"]), sort_keys=keys)
    entries = history["entry"].take(order).combine_chunks()
    last = np.append(pc.not_equal(entries[:-1], entries[1:]).to_numpy(zero_copy_only=False), True)
    is_there = pc.not_equal(history["action"].take(order), "removed")
    return history.take(order.filter(pc.and_(pa.array(last), is_there)))


class Changes(NamedTuple):
    """Rows to append to the history, and how many entries they add, change, or leave as it is."""

    rows: pa.Table
    added: int
    changed: int
    unchanged: int


def changes(
    current: pa.Table, given: Iterable[WatchedEntry], author: str, now: datetime
) -> Changes:
    """What putting entries on the list changes; of an entry that is given twice the last counts."""
    last = {each.entry: each for each in given}
    before = _columns_by_entry(current, last)
    rows, counts = [], {"added": 0, "changed": 0, "unchanged": 0}
    for entry, each in last.items():
        old, new = before.get(entry), (each.kind, each.name, each.reason, each.severity)
        action = "added" if old is None else "unchanged" if old == new else "changed"
        counts[action] += 1
        if action != "unchanged":
            rows.append((entry, *new, action, author, now))
    return Changes(_table(rows), **counts)


def removal(current: pa.Table, entry: str, author: str, now: datetime) -> pa.Table | None:
    """The row that takes an entry off the list; None where it is not on it."""
    old = _columns_by_entry(current, [entry]).get(entry)
    return None if old is None else _table([(entry, *old, "removed", author, now)])


def _columns_by_entry(current: pa.Table, entries: Iterable[str]) -> Mapping[str, tuple[Any, ...]]:
    wanted = pa.array(list(entries), pa.string())
    rows = current.filter(pc.is_in(current["entry"], wanted))
    columns = (rows[name].to_pylist() for name in ("kind", "name", "reason", "severity"))
    return dict(zip(rows["entry"].to_pylist(), zip(*columns, strict=True), strict=True))


def _table(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(WATCH_LIST)
    arrays = [
        pa.array(values, field.type) for values, field in zip(columns, WATCH_LIST, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=WATCH_LIST)


def watched_sentence(watched: Sequence[Mapping[str, Any]], count: int) -> str:
    """Who was paid what, in a sentence; the first matches are named.

    >>> match = {"name": "Ann", "entry": "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "what": "paid"}
    >>> watched_sentence([match | {"value": 150_000_000}], 2)
    'Watched: Ann (1BoatSLR…TtpyT) paid 1.5 BTC; and 1 more.'
    """
    named = [_deed(match) for match in watched[:_NAMED]]
    more = [f"and {count - len(named):,} more"] if count > len(named) else []
    return f"Watched: {'; '.join([*named, *more])}."


def _deed(match: Mapping[str, Any]) -> str:
    entry = match["entry"]
    short = entry if len(entry) <= 16 else f"{entry[:8]}…{entry[-5:]}"
    value = f"{(match['value'] or 0) / COIN:,.8f}".rstrip("0").rstrip(".")
    return _DEEDS[match["what"]].format(who=f"{match['name']} ({short})", value=f"{value} BTC")


class WatchListInForce:
    """The entries in force, as last read: `rows` has the columns of `watch_list`, by entry."""

    def __init__(self, store: CaseworkStore) -> None:
        self._store = store
        self._version: tuple[str, int] | None = None
        self.rows = WATCH_LIST.empty_table()
        self.newest: datetime | None = None

    def refresh(self) -> bool:
        """Read the table again if it has changed; whether it has.

        What was read before stays when it raises: `OriginMismatchError`, `DeltaError` or `OSError`.
        """
        table = self._store.table(TABLE)
        version = None if table is None else (str(table.metadata().id), table.version())
        if version == self._version:
            return False
        history = WATCH_LIST.empty_table()
        if table is not None:
            history = query("SELECT * FROM watch_list", watch_list=table)
            history = history.select(WATCH_LIST.names).cast(WATCH_LIST)
        self.newest = pc.max(history["changed_at"]).as_py()
        self.rows, self._version = current_list(history), version
        return True

    def next_time(self) -> datetime:
        """The time of a change that is made now: later than every one before it."""
        now = datetime.now(UTC)
        return now if self.newest is None else max(now, self.newest + _MICROSECOND)
