"""The filters of the activity page: parsed from the page's URL and written back to it.

The URL is the only place where they are stored, so a page can be shared and survives a reload.

>>> Filters.from_query("?range=6h&value_min=0.5&flagged=1").query
'?range=6h&value_min=0.5&flagged=1'
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

from core import row_filters
from core.transaction import COIN, MAX_MONEY

PRESETS, CUSTOM, NO_PATTERN = row_filters.PRESETS, row_filters.CUSTOM, row_filters.NO_PATTERN
DEFAULT_RANGE = row_filters.RowFilters.range

ORDERS = {
    "score": "most unusual",
    "newest": "newest",
    "value": "largest value",
    "fee_rate": "highest fee rate",
    "times": "times the market",
}
"""The orders of the table, in words; of too many transactions it shows the first."""

FLAGGERS = {"model": "the model", "rule": "a rule", "both": "model and rule"}
"""What may have flagged a transaction, in words."""

AXES = {"fee_rate": "fee rate", "times": "times the market"}
"""What the scatter may show upwards, in words."""

ZERO_LANE = 1e-4
"""Where the scatter draws a fee rate of zero, or one below this, on its logarithmic axis."""


_NO_ROW_FILTERS = {"range", "start", "end", "threshold", "order", "axis", "muted"}


@dataclass(frozen=True)
class Filters(row_filters.RowFilters):
    """What a viewer asks for; `threshold` is a position of its slider.

    `muted` is whether the table shows what is muted; numbers and figures always count it.
    """

    muted: bool = False
    order: str = "score"
    axis: str = "fee_rate"

    @classmethod
    def from_query(cls, query: str | None) -> "Filters":
        """Parse a URL's query; what cannot be parsed is left out, never an error."""
        return cls.from_parameters(dict(parse_qsl((query or "").lstrip("?"))))

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, object]) -> "Filters":
        """Parse each field from its text in the URL or in an input (values in BTC)."""
        parsed: dict[str, Any] = {
            f.name: _parse(f.name, str(parameters[f.name]).strip())
            for f in fields(cls)
            if parameters.get(f.name) not in (None, "")
        }
        filters = cls(**{name: value for name, value in parsed.items() if value is not None})
        if filters.range != CUSTOM:
            return replace(filters, start=None, end=None)
        if filters.start is None and filters.end is None:
            return replace(filters, range=DEFAULT_RANGE)
        return filters

    @property
    def parameters(self) -> dict[str, str]:
        """Each field that differs from its default, as text for the URL."""
        default = Filters()
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {n: _format(n, v) for n, v in values.items() if v != getattr(default, n)}

    @property
    def query(self) -> str:
        """The URL's query, with its question mark; empty for the defaults."""
        return "?" + urlencode(self.parameters, safe=":,") if self.parameters else ""

    @property
    def row_filters(self) -> int:
        """How many filters are set that leave out rows, the time range not counted."""
        return len(self.parameters.keys() - _NO_ROW_FILTERS)


BOUNDED = tuple(f.name.removesuffix("_min") for f in fields(Filters) if f.name.endswith("_min"))
"""The fields with a least and a most: `value_min` and `value_max`, and so on."""


def problems(filters: Filters, now: datetime) -> dict[str, str]:
    """Why nothing can pass a filter, by `range` or one of `BOUNDED`; empty where all is well.

    >>> problems(Filters(fee_rate_min=9, fee_rate_max=3), datetime.now(UTC))
    {'fee_rate': 'The least is above the most: nothing passes.'}
    """
    found = {}
    if filters.range == CUSTOM:
        if filters.start and filters.end and filters.end <= filters.start:
            found["range"] = "The end is not after the start: nothing lies between them."
        elif filters.start and filters.start >= now:
            found["range"] = "The start lies in the future: there are no transactions yet."
    for name in BOUNDED:
        least, most = getattr(filters, f"{name}_min"), getattr(filters, f"{name}_max")
        if least is not None and most is not None and least > most:
            found[name] = "The least is above the most: nothing passes."
    return found


def parse_btc(text: str) -> int | None:
    """Satoshi of an amount written in BTC, exactly; None for what is not an amount.

    >>> parse_btc("0.29")
    29000000
    """
    try:
        amount = Decimal(text) * COIN
        return int(amount) if 0 <= amount <= MAX_MONEY else None
    except ArithmeticError:  # of the module decimal: no number, or one with too large an exponent
        return None


def _parse_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < 1e15 else None


def _parse_time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return time.astimezone(UTC) if 1970 < time.year < 2200 else None


def _parse(name: str, text: str) -> object:
    """The value of one field, None where the text has none."""
    if name == "range":
        return text if text in PRESETS or text == CUSTOM else None
    if name in ("start", "end"):
        return _parse_time(text.replace(" ", "+"))
    if name.startswith("value_"):
        return parse_btc(text)
    if name.startswith(("inputs_", "outputs_")):
        number = _parse_number(text)
        whole = math.ceil if name.endswith("_min") else math.floor
        return None if number is None else whole(number)
    if name == "pattern":
        return tuple(sorted({name.strip() for name in text.split(",")} - {""})) or None
    if name == "flagged_by":
        return tuple(each for each in FLAGGERS if each in text.split(",")) or None
    if name == "axis":
        return text if text in AXES else None
    if name in ("flagged", "muted"):
        return True if text in ("1", "true", "True") else None
    if name == "hash":
        return "".join(text.lower().split())[:64]
    if name == "order":
        return text if text in ORDERS else None
    number = _parse_number(text)
    if name == "threshold":
        return round(number, 3) if number is not None and number <= 1 else None
    return number


def format_time(time: datetime) -> str:
    """A time as a URL has it: UTC, with a fraction of its second where it has one."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _format(name: str, value: object) -> str:
    if isinstance(value, datetime):
        return format_time(value)
    if name.startswith("value_") and isinstance(value, int):
        return format((Decimal(value) / COIN).normalize(), "f")
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return "1"
    # with every digit, or the URL would mean another number than its input
    if isinstance(value, float):
        return f"{Decimal(str(value)):f}".removesuffix(".0")
    return str(value)
