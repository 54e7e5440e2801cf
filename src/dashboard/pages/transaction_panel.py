"""The panel of one transaction: what became of it, and why it has its score."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dash import html

from core.detector.explanation import explanation, package_sentence
from core.detector.rules import STEEP, fee_step
from core.detector.verdict import Verdict
from core.effective_fee import package_fee_rate
from core.transaction import PACKAGE_FEE_RATE
from core.transaction_details import Inside, Relative
from core.watch_list import watched_sentence
from dashboard.activity.filters import Filters
from dashboard.lake.address_reads import inside_with_parents
from dashboard.lake.families import unconfirmed_children, unconfirmed_parents
from dashboard.lake.recent import Snapshot
from dashboard.lake.rows import Rows, from_micros
from dashboard.lake.sources import LAKE_ERRORS, Lake
from dashboard.look.formats import attribute, duration, share, short_time
from dashboard.pages.inside_panel import inside_section
from dashboard.pages.ordinary_panel import ordinary_section
from dashboard.pages.verdict_panel import (
    flagging_rules,
    market_sentence,
    raw_fields,
    rule_sentences,
    verdict_view,
    version_sentence,
)
from dashboard.services import Services

SHORTEST_PREFIX = 16
"""Digits of a hash that name a transaction; a point of the scatter carries only these."""


def transaction_panel(
    services: Services, digits: str, filters: Filters, zone: ZoneInfo
) -> list[Any]:
    """The panel of a transaction, named by its hash or at least its first 16 digits."""
    if not is_name(digits):
        return _missing(digits[:64], "This is not the hash of a transaction.")
    snapshot = services.recent.snapshot
    aggregates, _ = services.views.aggregates(filters, snapshot)
    hash, event_time = named_transaction(digits, aggregates.rows, snapshot.rows)
    lake = services.lake
    try:
        row = lake.transaction(hash, event_time)
        if row is None:
            reason = "No scored transaction has this hash: it may not have been scored yet."
            return _missing(hash, reason)
        hash = row["hash"]
        chain = lake.replacement_chain(hash, row["event_time"])
        fate = _fate(row, chain, lake, snapshot)
        family = [*_watched(lake.watched(hash, row["event_time"])), *_family(row, lake)]
        history = _history(chain, hash, zone)
        within = inside_with_parents(lake, hash, row["append_time"])
    except LAKE_ERRORS:
        lake.close()
        services.metrics.errors.labels("lake").inc()
        reason = "The lake cannot be read just now; this panel fills itself when it can."
        return _missing(hash, reason)
    higher = aggregates.count_higher(row["anomaly_score"] - row["threshold"])
    rank = rank_in_range(higher, aggregates.summary.transactions)
    return [
        _header(),
        html.Button(
            hash, className="hash copy", title="Copy the hash", **attribute("data-copy", hash)
        ),
        _actions(row),
        html.P(
            [short_time(row["event_time"], zone), " · ", _link(services, hash)], className="note"
        ),
        html.P(fate, className="fate"),
        html.P(
            market_sentence(row["fee_rate"], row.get("market_fee_rate"), "others paid then"),
            className="market",
        ),
        *family,
        *_judged_in_package(row),
        *history,
        *rule_sentences(row),
        *verdict_view(row, rank, filters.threshold),
        *ordinary_section(services.api, row),
        *_recorded(row, *within, services.path_prefix),
    ]


def _recorded(
    row: Mapping[str, Any], inside: Inside | None, parents: Sequence[Relative], prefix: str
) -> list[Any]:
    """What is recorded of the transaction, and by which version it was scored."""
    return [
        html.H3("Transaction"),
        raw_fields(row),
        *inside_section(inside, row, parents, prefix),
        html.P(version_sentence(row["model_version"]), className="note"),
    ]


def is_name(digits: str) -> bool:
    """Whether a text names a transaction: its hash, or enough of the first digits."""
    return SHORTEST_PREFIX <= len(digits) <= 64 and not set(digits) - set("0123456789abcdef")


def named_transaction(digits: str, *places: Rows) -> tuple[str, datetime | None]:
    """The whole hash and its event time from the first rows that have it; else the digits."""
    for rows in places:
        rows = rows.take(rows.hash_starts_with(digits))
        if len(rows):
            return rows.hashes()[0], from_micros(int(rows["time"][0]))
    return digits, None


def _link(services: Services, hash: str) -> html.A | html.Span:
    if services.origin == "simulated":
        return html.Span("simulated: no block explorer knows it")
    return html.A(
        "block explorer ↗",
        href=f"{services.explorer_url}{hash}",
        target="_blank",
        rel="noopener noreferrer",
        title="Opens a new tab",
    )


def _header() -> html.Div:
    buttons = [
        _icon("‹", "Previous flagged transaction", "k", **attribute("data-step", "-1")),
        _icon("›", "Next flagged transaction", "j", **attribute("data-step", "1")),
        _icon("✕", "Close", "Esc", "close"),
    ]
    return html.Div([html.H2("Why this score?"), html.Span(buttons)], className="drawer-head")


def _icon(sign: str, name: str, key: str, style: str = "", **attributes: Any) -> html.Button:
    """A button in the panel's head, with the key that does the same."""
    return html.Button(
        sign,
        className=f"quiet icon {style}",
        title=f"{name} ({key})",
        **attribute("aria-label", name),
        **attributes,
    )


def _actions(row: Mapping[str, Any]) -> html.Div:
    """Buttons that copy the panel's address, the explanation and the row."""
    copied = {
        "copy link": "",  # the browser knows the address
        "copy explanation": explanation(Verdict.from_row(row), flagging_rules(row)),
        "copy JSON": json.dumps(row, indent=2, default=str),
    }
    return html.Div(
        [
            html.Button(name, className="button", **attribute("data-copy", text))
            for name, text in copied.items()
        ],
        className="actions",
    )


def _missing(hash: str, reason: str) -> list[Any]:
    return [_header(), html.Code(hash, className="hash"), html.P(reason)]


def _fate(
    row: Mapping[str, Any], chain: list[dict[str, Any]], lake: Lake, snapshot: Snapshot
) -> list[Any]:
    """Whether the transaction is confirmed, replaced or pending, as a badge and words.

    Of two transactions that spend one output, the one in a block has replaced the other, whichever
    was first.
    """
    hash, since = row["hash"], row["event_time"]
    height = _height(lake, hash, since, row.get("block_height"))
    if height is not None:
        return [html.Span("confirmed", className="badge fine"), f" in block {height:,}"]
    replacements = [step for step in chain[::-1] if hash in (step["hash"], step["replaced_hash"])]
    rivals = [_rival(replacement, hash) for replacement in replacements]
    for rival in rivals:
        height = _height(lake, rival, since)
        if height is not None:
            badge = html.Span("replaced", className="badge hot")
            return [badge, " by ", _other(rival), f", confirmed in block {height:,}"]
    for replacement in replacements:
        if replacement["replaced_hash"] == hash:
            badge = html.Span("replaced", className="badge hot")
            return [badge, " by ", _other(replacement["hash"]), _change(replacement)]
    age = duration(max((snapshot.taken_at - since).total_seconds(), 0))
    pending = [html.Span("pending", className="badge"), f" for {age}"]
    if not replacements:
        return pending
    return [*pending, "; replaces ", _other(rivals[0]), _change(replacements[0])]


def _family(row: Mapping[str, Any], lake: Lake) -> list[Any]:
    """What miners see of a transaction together with unconfirmed parents, or with a child.

    A fee that pays for a parent, too, is no accident, and a parent without one is not stuck.
    """
    hash, seen, own = row["hash"], row["event_time"], (row["fee"], row["weight"])
    said = []
    parents = unconfirmed_parents(lake, hash, seen)
    if parents:
        rate = package_fee_rate([own, *((each.fee, each.weight) for each in parents)])
        links = _listed([each.hash for each in parents])
        if rate < row["fee_rate"]:
            said.append(
                ["Its fee pays for its unconfirmed ", *links, " too: ", *_together(rate, row)]
            )
        else:
            said.append(["It waits with its unconfirmed ", *links, ": ", *_together(rate, row)])
    children = unconfirmed_children(lake, hash, seen)
    rates = [package_fee_rate([own, (each.fee, each.weight)]) for each in children]
    if children and max(rates) > row["fee_rate"]:
        child = children[rates.index(max(rates))]
        together = _together(max(rates), row)
        said.append(["Its child ", _other(child.hash), " pays for both: ", *together])
    return [html.P(sentence, className="market") for sentence in said]


def _judged_in_package(row: Mapping[str, Any]) -> list[html.P]:
    rate = row.get(PACKAGE_FEE_RATE)
    return [] if rate is None else [html.P(package_sentence(rate), className="market")]


def _watched(row: Mapping[str, Any] | None) -> list[html.P]:
    """What it did to the watch list, where it did something."""
    if row is None:
        return []
    badge = html.Span(f"watched, {row['watch_severity']}", className="badge")
    return [html.P([badge, " ", watched_sentence(row["watched"], row["watched_count"])])]


def _listed(hashes: Sequence[str]) -> list[Any]:
    """One parent or several, at most three of them by name."""
    word = "parent " if len(hashes) == 1 else f"{len(hashes)} parents "
    links = [part for hash in hashes[:3] for part in (_other(hash), ", ")][:-1]
    return [word, *links, *([", …"] if len(hashes) > 3 else [])]


def _together(rate: float, row: Mapping[str, Any]) -> list[Any]:
    words = market_sentence(rate, row.get("market_fee_rate"), "others paid then")
    return ["together they have an effective ", words, "."]


def _history(chain: list[dict[str, Any]], hash: str, zone: ZoneInfo) -> list[Any]:
    """The fees of a chain of replacements, oldest first; one of at least `STEEP` is marked."""
    if not chain:
        return []
    first = chain[0]
    steps = [_step(first["replaced_hash"], hash, [f"fee {first['replaced_fee']:,} sat"])]
    for replacement in chain:
        words = [
            f"fee {replacement['fee']:,} sat at ",
            short_time(replacement["append_time"], zone),
        ]
        times = fee_step(replacement["fee"], replacement["replaced_fee"])
        if times >= STEEP:
            badge = html.Span(f"{times:,.0f} times the fee before", className="badge hot")
            words += [" ", badge]
        steps.append(_step(replacement["hash"], hash, words))
    return [html.H3("Replacements"), html.Ol(steps, className="reasons")]


def _step(hash: str, shown: str, words: Sequence[Any]) -> html.Li:
    """One transaction of the chain; the one that the panel shows is no link."""
    name = html.Strong("this one") if hash == shown else _other(hash)
    return html.Li([name, ": ", *words])


def _height(lake: Lake, hash: str, since: datetime, known: int | None = None) -> int | None:
    """The height of the block that confirms a transaction first seen at `since`, else `known`."""
    confirmation = lake.confirmation(hash, since)
    return known if confirmation is None else int(confirmation["block_height"])


def _rival(replacement: Mapping[str, Any], hash: str) -> str:
    """The other transaction that spends the same output."""
    replaced = replacement["replaced_hash"] == hash
    return str(replacement["hash"] if replaced else replacement["replaced_hash"])


def _change(replacement: Mapping[str, Any]) -> str:
    return f" (fee {replacement['fee_change']:+,} sat)"


def _other(hash: str) -> html.A:
    return html.A(f"{hash[:12]}…", href=f"#{hash}", title=hash)


def rank_in_range(higher: int, count: int) -> str:
    """How many transactions of the chosen range score higher, each beside its version's threshold.

    >>> rank_in_range(2, 25_114)
    'In the chosen range 2 of 25,114 transactions score higher (0.00796\xa0%).'
    """
    if not count:
        return ""
    part = share(higher / count)
    return f"In the chosen range {higher:,} of {count:,} transactions score higher ({part})."
