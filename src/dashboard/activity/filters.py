"""What a viewer asks to see: parsed from the page's URL, written back to it, applied to rows.

The URL is the only home of a view, so that it can be shared and survives a reload.

>>> Filters.from_query("?range=6h&value_min=0.5&flagged=1").query
'?range=6h&value_min=0.5&flagged=1'
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, urlencode

from core.tables import EVENT_AFTER
from core.transaction import COIN, MAX_MONEY

PRESETS = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
"""The ranges that end now, by the name they have in the URL."""

DEFAULT_RANGE = "1h"
CUSTOM = "custom"
ORDERS = {
    "score": "most unusual",
    "newest": "newest",
    "value": "largest value",
    "fee_rate": "highest fee rate",
}
"""Which transactions the table keeps when there are too many, in words."""

NO_PATTERN = "none"
"""The filter's name for a transaction that follows no known pattern."""


@dataclass(frozen=True)
class Filters:
    """One view. Amounts are satoshi, fee rates sat/vB, times UTC; None leaves a side open."""

    range: str = DEFAULT_RANGE
    start: datetime | None = None
    end: datetime | None = None
    threshold: float | None = None
    value_min: int | None = None
    value_max: int | None = None
    fee_rate_min: float | None = None
    fee_rate_max: float | None = None
    inputs_min: int | None = None
    inputs_max: int | None = None
    outputs_min: int | None = None
    outputs_max: int | None = None
    pattern: tuple[str, ...] = ()
    flagged: bool = False
    hash: str = ""
    order: str = "score"

    @classmethod
    def from_query(cls, query: str | None) -> "Filters":
        """Read a URL's query; what is not understood is left out, never an error."""
        return cls.from_words(dict(parse_qsl((query or "").lstrip("?"))))

    @classmethod
    def from_words(cls, words: Mapping[str, object]) -> "Filters":
        """Read each field from its words, as the URL and the inputs hold them (value in BTC)."""
        found: dict[str, Any] = {
            f.name: _read(f.name, str(words[f.name]).strip())
            for f in fields(cls)
            if words.get(f.name) not in (None, "")
        }
        view = cls(**{name: value for name, value in found.items() if value is not None})
        if view.range == CUSTOM and view.start is None and view.end is None:
            return replace(view, range=DEFAULT_RANGE)
        return view if view.range == CUSTOM else replace(view, start=None, end=None)

    @property
    def words(self) -> dict[str, str]:
        """Each field that differs from its default, as the URL writes it."""
        default = Filters()
        changed = {f.name: getattr(self, f.name) for f in fields(self)}
        return {n: _write(n, v) for n, v in changed.items() if v != getattr(default, n)}

    @property
    def query(self) -> str:
        """The URL's query, with its question mark; empty for the default view."""
        return "?" + urlencode(self.words, safe=":,") if self.words else ""

    @property
    def narrowing(self) -> int:
        """How many filters beside the time range and the threshold are set."""
        return len(self.words.keys() - {"range", "start", "end", "threshold", "order"})

    def interval(self, now: datetime) -> tuple[datetime, datetime]:
        """First and last moment of the view, both included."""
        if self.range == CUSTOM:
            end = min(self.end or now, now)
            return min(self.start or end - timedelta(days=1), end), end
        return now - PRESETS[self.range], now + EVENT_AFTER

    def span(self, now: datetime) -> timedelta:
        """Length of the time that the view covers; never 0."""
        start, end = self.interval(now)
        return max(min(end, now) - start, timedelta(seconds=1))


def satoshi(btc: str) -> int | None:
    """Satoshi of an amount written in BTC, exactly; None for what is not an amount.

    >>> satoshi("0.29")
    29000000
    """
    try:
        amount = Decimal(btc) * COIN
        return int(amount) if 0 <= amount <= MAX_MONEY else None
    except InvalidOperation:
        return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < 1e15 else None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC) if 1970 < moment.year < 2200 else None


def _read(name: str, text: str) -> object:
    """One field's value, None where the text is not one."""
    if name == "range":
        return text if text in PRESETS or text == CUSTOM else None
    if name in ("start", "end"):
        return _moment(text.replace(" ", "+"))
    if name.startswith("value_"):
        return satoshi(text)
    if name.startswith(("inputs_", "outputs_")):
        number = _number(text)
        return None if number is None else int(number)
    if name == "pattern":
        return tuple(sorted({name.strip() for name in text.split(",")} - {""})) or None
    if name == "flagged":
        return True if text in ("1", "true", "True") else None
    if name == "hash":
        return text.lower()[:64]
    if name == "order":
        return text if text in ORDERS else None
    return _number(text)


def _write(name: str, value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if name.startswith("value_") and isinstance(value, int):
        return format((Decimal(value) / COIN).normalize(), "f")
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return "1"
    return f"{value:g}" if isinstance(value, float) else str(value)
