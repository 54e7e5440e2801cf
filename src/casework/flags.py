"""A message of `bitcoin-anomalies` as a row of `case_members` that has no case yet.

Messages of earlier versions lack fields, and a topic can hold anything: what is not of its type is
null, and a record that names no transaction is no message.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from core.detector.verdict import row_patterns
from core.severity import severity
from core.transaction import MAX_ADDRESS, MAX_MONEY

MOST_LISTED = 200
"""Inputs, and outputs, of a message that are looked at: as many as the stream publishes."""

_MOST_CHARACTERS = 4_000
"""Of an explanation, which has a few hundred, and of any other text."""

_MOST_HITS = 20
"""Hits of the watch list that are kept of one message."""

_HASH = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(rf"[0-9A-Za-z]{{1,{MAX_ADDRESS}}}")
_OUTPOINT = re.compile(r"[0-9]{1,16}:[0-9]{1,10}")


def message_of(value: bytes | None) -> dict[str, Any] | None:
    """The message in a record of the topic; None for a record that is not one."""
    try:
        content = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    return content if _text(content.get("hash"), _HASH) else None


def flag_row(message: Mapping[str, Any], published_at: datetime) -> dict[str, Any]:
    """The columns that a message fills; `published_at` stands in for a missing time."""
    hits = _hits(message.get("watched"))
    is_hit = message.get("kind") == "watched"
    row = {
        "key": _key(message["hash"], hits) if is_hit else message["hash"],
        "hash": message["hash"],
        "kind": "watched" if is_hit else "flagged",
        "event_time": _time(message.get("event_time")) or published_at,
        **{name: _time(message.get(name)) for name in ("append_time", "scored_at")},
        **{name: _whole(message.get(name)) for name in _WHOLE},
        **{name: _number(message.get(name)) for name in _NUMBERS},
        **{name: _text(message.get(name)) for name in _TEXTS},
        "is_anomaly": message.get("is_anomaly", not is_hit) is True,
        "patterns": _patterns(message),
        "watched": hits,
        "input_addresses": _list(message.get("input_addresses"), _address),
        "output_addresses": _list(message.get("output_addresses"), _address),
        "spent_outpoints": _list(message.get("spent_outpoints"), lambda v: _text(v, _OUTPOINT)),
        "output_values": _list(message.get("output_values"), _whole),
    }
    further = {
        "watch_severity": _text(message.get("watch_severity")),
        "package_fee_rate": _number(message.get("package_fee_rate")),
    }
    return row | {"severity": severity(row | further)}


_WHOLE = (
    *("block_height", "fee", "inputs_count", "outputs_count"),
    *("input_value", "output_value"),
)
_NUMBERS = ("fee_rate", "market_fee_rate", "anomaly_score", "threshold", "percentile")
_TEXTS = ("source", "pattern", "flagged_by", "model_version", "explanation")


def _key(transaction_hash: str, hits: list[dict[str, str]] | None) -> str:
    """The name of a message about a watched transaction: a further hit is another message."""
    touched = sorted((hit["entry"], hit["what"]) for hit in hits or ())
    digest = blake2b(json.dumps(touched).encode(), digest_size=8).hexdigest()
    return f"{transaction_hash} {digest}"


def _hits(value: Any) -> list[dict[str, str]] | None:
    if not isinstance(value, list):
        return None
    names = ("entry", "name", "severity", "what")
    dictionaries = [hit for hit in value[:_MOST_HITS] if isinstance(hit, dict)]
    return [{name: _words(hit.get(name)) for name in names} for hit in dictionaries]


def _words(value: Any) -> str:
    """A value as text: a hit's entry may be a number, and what it did may be a list of texts."""
    if isinstance(value, list):
        value = ", ".join(map(_one, value[:_MOST_HITS]))
    return _one(value)


def _one(value: Any) -> str:
    """A single value as text; nobody writes a list within a list, or an object, there."""
    if value is None or isinstance(value, list | dict):
        return ""
    return _text(str(value)) or ""


def _patterns(message: Mapping[str, Any]) -> list[str]:
    names = message.get("patterns")
    one = {"pattern": _text(message.get("pattern"))}
    listed = {"patterns": _list(names, _text)} if isinstance(names, list) else {}
    return list(row_patterns(one | listed))


def _list(value: Any, read: Callable[[Any], Any]) -> list[Any] | None:
    """A list of which each value is read; None where one of them is not of its type."""
    if not isinstance(value, list):
        return None
    values = [read(each) for each in value[:MOST_LISTED]]
    return None if None in values else values


def _address(value: Any) -> str | None:
    return _text(value, _ADDRESS)


def _text(value: Any, shape: re.Pattern[str] | None = None) -> str | None:
    if not isinstance(value, str) or (shape and not shape.fullmatch(value)):
        return None
    return value[:_MOST_CHARACTERS].encode(errors="replace").decode()


def _whole(value: Any) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 0 <= value <= MAX_MONEY else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= MAX_MONEY else None


def _time(value: Any) -> datetime | None:
    """A time in ISO 8601 with its offset."""
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None
