"""Numbers, times and refusals as a person reads them; each number carries its unit."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from dash import html

from core.transaction import COIN

NO_BREAK = "\u00a0"
"""The space between a number and its per cent sign, so that no line breaks there."""

_KEPT_WORDS = 8_192
"""Of the points of charts: from one refresh to the next nearly all stay."""

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def btc(satoshi: int) -> str:
    """An amount in BTC, without trailing zeros.

    >>> btc(123_456_000)
    '1.23456 BTC'
    """
    text = f"{satoshi / COIN:,.8f}"
    return f"{text.rstrip('0').rstrip('.')} BTC"


def sat(satoshi: int) -> str:
    """An amount in satoshi.

    >>> sat(5000)
    '5,000 sat'
    """
    return f"{satoshi:,} sat"


def short_number(value: float) -> str:
    """Three significant digits, thousands as k and M.

    >>> [short_number(v) for v in (0.01234, 12.34, 1234, 999_999, 25_114_000)]
    ['0.0123', '12.3', '1.23k', '1M', '25.1M']
    """
    if not math.isfinite(value):
        return "–"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size - size / 2_000:  # from here on three digits round up to the size
            return f"{_three_digits(value / size)}{letter}"
    return _three_digits(value)


@lru_cache(_KEPT_WORDS)
def rate_words(rate: float, times: float) -> str:
    """A fee rate in sat/vB, and in multiples of the market's where that is known.

    >>> rate_words(480.0, 30.97)
    '480 sat/vB (31 × market)'
    """
    beside = f" ({short_number(times)} × market)" if math.isfinite(times) else ""
    return f"{short_number(rate)} sat/vB{beside}"


def _three_digits(value: float) -> str:
    if value == 0:
        return "0"
    return _without_zeros(f"{value:.{_decimals(value)}f}")


def _decimals(value: float) -> int:
    """With how many decimals a number that is not 0 has three significant digits."""
    return max(0, 2 - math.floor(math.log10(abs(value))))


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(part: float) -> str:
    """A share in per cent with three significant digits, or as many of what it lacks.

    >>> [share(v).replace(NO_BREAK, " ") for v in (0, 0.00051, 0.0123, 0.5, 0.9997, 1)]
    ['0 %', '0.051 %', '1.23 %', '50 %', '99.97 %', '100 %']
    """
    value = part * 100
    least = min(value, 100 - value)
    text = _without_zeros(f"{value:.{_decimals(least)}f}") if least > 0 else _three_digits(value)
    return f"{text}{NO_BREAK}%"


def duration(seconds: float) -> str:
    """A length of time in its largest fitting unit.

    >>> [duration(s) for s in (3, 200, 7300, 200_000)]
    ['3 s', '3 min', '2 h', '2 d']
    """
    size, unit = next((step for step in _STEPS if seconds >= step[0]), (1, "s"))
    return f"{int(seconds // size)} {unit}"


def utc(time: datetime) -> str:
    """A UTC time to the second.

    >>> utc(datetime(2024, 3, 14, 9, 26, 53))
    '2024-03-14 09:26:53 UTC'
    """
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def short_time(time: datetime, zone: ZoneInfo) -> html.Time:
    """A time in the viewer's zone to the second, with UTC on hover."""
    local = f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    return html.Time(local, title=utc(time), dateTime=time.isoformat())


def local_times(micros: Iterable[int], zone: ZoneInfo) -> list[str]:
    """Microseconds since 1970 as times of the viewer's zone."""
    return [_local_time(int(each), zone) for each in micros]


@lru_cache(_KEPT_WORDS)
def _local_time(micros: int, zone: ZoneInfo) -> str:
    time = datetime.fromtimestamp(micros / 1e6, UTC).astimezone(zone)
    return time.strftime("%Y-%m-%d %H:%M:%S")


def spaced(name: str) -> str:
    """A name as words.

    >>> spaced("very_large_value")
    'very large value'
    """
    return name.replace("_", " ")


def attribute(name: str, value: str) -> dict[str, Any]:
    """An HTML attribute as keyword, for names that are none in Python.

    >>> attribute("aria-label", "Close")
    {'aria-label': 'Close'}
    """
    return {name: value}


def refusal(status: int, problem: Mapping[str, Any]) -> str:
    """Why the API refuses, as a sentence: the detail of its problem document (RFC 9457).

    >>> refusal(409, {"detail": "The case is closed."})
    'The case is closed.'
    >>> refusal(502, {})
    'The API has refused it (status 502).'
    """
    return str(problem.get("detail") or f"The API has refused it (status {status}).")
