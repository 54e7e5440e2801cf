"""The filters in force, each in words with the query of the page without it."""

from dataclasses import dataclass

from dashboard.activity.filter_inputs import BOUNDS
from dashboard.activity.filters import FLAGGERS, NO_PATTERN, Filters
from dashboard.look.formats import spaced

SIDES = {"min": "≥", "max": "≤"}


@dataclass(frozen=True)
class Chip:
    """One filter in words, and the URL's query without it, "" where nothing else is set."""

    words: str
    query: str


def chips(filters: Filters) -> list[Chip]:
    """The filters in force; the time range has its own place, order and axis leave nothing out.

    >>> chips(Filters.from_query("?range=6h&value_min=0.5"))
    [Chip(words='output value ≥ 0.5 BTC', query='?range=6h')]
    """
    texts = filters.parameters
    return [
        Chip(words, Filters.from_parameters({n: t for n, t in texts.items() if n != field}).query)
        for field, words in _in_words(filters).items()
    ]


def _in_words(filters: Filters) -> dict[str, str]:
    """Words for each field of the filters in force."""
    texts, words = filters.parameters, {}
    if filters.threshold is not None:
        words["threshold"] = f"threshold {filters.threshold:.3f} for all"
    for label, name, unit, _ in BOUNDS:
        for side, sign in SIDES.items():
            if (field := f"{name}_{side}") in texts:
                words[field] = f"{label} {sign} {texts[field]} {unit}".rstrip()
    if filters.pattern:
        names = ["none known" if name == NO_PATTERN else spaced(name) for name in filters.pattern]
        words["pattern"] = f"pattern {' or '.join(names)}"
    if filters.flagged:
        words["flagged"] = "only flagged"
    if filters.flagged_by:
        flaggers = [FLAGGERS[name] for name in filters.flagged_by]
        words["flagged_by"] = f"flagged by {' or '.join(flaggers)}"
    if filters.muted:
        words["muted"] = "muted shown"
    if filters.hash:
        words["hash"] = f"hash {filters.hash[:12]}…"
    return words
