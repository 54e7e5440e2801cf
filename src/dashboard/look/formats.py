"""Numbers and times as a person reads them; every one carries its unit."""

import math
from datetime import datetime
from typing import Any

from core.transaction import COIN

NO_BREAK = "\u00a0"
"""The space between a number and its per cent sign, which no line may break at."""

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def btc(satoshi: int, digits: int = 8) -> str:
    """An amount in BTC, without needless zeros.

    >>> btc(123_456_000)
    '1.23456 BTC'
    >>> btc(5_012_345_678_900, 2)
    '50,123.46 BTC'
    """
    text = f"{satoshi / COIN:,.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} BTC"


def sat(satoshi: int) -> str:
    """An amount in satoshi.

    >>> sat(5000)
    '5,000 sat'
    """
    return f"{satoshi:,} sat"


def short_number(value: float) -> str:
    """Three significant digits, thousands as k and M.

    >>> [short_number(v) for v in (0.01234, 12.34, 1234, 25_114_000)]
    ['0.0123', '12.3', '1.23k', '25.1M']
    """
    if not math.isfinite(value):
        return "–"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{_three(value / size)}{letter}"
    return _three(value)


def _three(value: float) -> str:
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(part: float) -> str:
    """A share in per cent with the digits it needs.

    >>> [share(v).replace(NO_BREAK, " ") for v in (0, 0.00051, 0.0123, 0.5)]
    ['0 %', '0.051 %', '1.23 %', '50 %']
    """
    return f"{_three(part * 100)}{NO_BREAK}%"


def duration(seconds: float) -> str:
    """A length of time in its largest fitting unit.

    >>> [duration(s) for s in (3, 200, 7300, 200_000)]
    ['3 s', '3 min', '2 h', '2 d']
    """
    size, unit = next((step for step in _STEPS if seconds >= step[0]), (1, "s"))
    return f"{int(seconds // size)} {unit}"


def utc(moment: datetime) -> str:
    """A UTC time to the second.

    >>> utc(datetime(2024, 3, 14, 9, 26, 53))
    '2024-03-14 09:26:53 UTC'
    """
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def words(name: str) -> str:
    """A name as a person reads it.

    >>> words("very_large_value")
    'very large value'
    """
    return name.replace("_", " ")


def aria(label: str) -> dict[str, Any]:
    """The name of an element for those who cannot see it, as its keyword.

    >>> aria("Close")
    {'aria-label': 'Close'}
    """
    return {"aria-label": label}
