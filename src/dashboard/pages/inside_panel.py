"""What is inside a transaction: inputs left, outputs right, and its relatives in the lake."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dash import html

from core.address_history import address_type, dust_limit_of
from core.blockchain_json.scripts import OP_RETURN
from core.transaction import INDEX_END, TAIL_DIGITS, hash_tail
from core.transaction_details import Input, Inside, Output, Relative
from dashboard.lake.address_reads import Kin
from dashboard.look.formats import attribute, btc, sat, short_time

MOST_SHOWN = 12
"""Inputs, and outputs, that are shown of one transaction."""

_SHORT = 18
_EQUAL = "of equal value"

ONLY_FACTS = (
    "Only the facts above were kept of it: the row is of an earlier version, or the source left "
    "an address or a value out."
)


def inside_section(
    inside: Inside | None, row: Mapping[str, Any], parents: Sequence[Relative], prefix: str
) -> list[Any]:
    """Inputs and outputs side by side; a sentence where they were not kept."""
    heading = html.H3("Inputs and outputs")
    if inside is None or (inside.inputs is None and inside.outputs is None):
        return [heading, html.P(ONLY_FACTS, className="note")]
    by_tail = {parent.hash[-TAIL_DIGITS:]: parent.hash for parent in parents}
    origins = [_origin(each, by_tail) for each in (inside.inputs or ())[:MOST_SHOWN]]
    marks = _output_marks(inside.outputs or ())
    left = _Side("spent from", inside.inputs, row["inputs_count"], inside.inputs_cut, origins)
    right = _Side("paid to", inside.outputs, row["outputs_count"], inside.outputs_cut, marks)
    return [heading, html.Div([left.view(prefix), right.view(prefix)], className="inside")]


class _Side(NamedTuple):
    """One side of a transaction; `notes` are what is said below each of the first ones."""

    caption: str
    members: Sequence[Input | Output] | None
    number: int
    cut: bool
    notes: Sequence[Any]

    def view(self, prefix: str) -> html.Div:
        """The caption, the first members, and how many more there are."""
        return html.Div([html.Div(self.caption, className="caption"), *self._parts(prefix)])

    def _parts(self, prefix: str) -> list[Any]:
        if self.members is None:
            return [html.P("not kept", className="note")]
        if not self.members:
            return [html.P("none: the coins are new", className="note")]
        total = max(sum(each.value for each in self.members), 1)
        items = [
            _item(each, each.value / total, note, prefix)
            for each, note in zip(self.members, self.notes, strict=False)
        ]
        hidden = max(self.number, len(self.members)) - len(items)
        kept = f"; {len(self.members):,} are kept" if self.cut else ""
        more = [html.P(f"and {hidden:,} more{kept}", className="note")] if hidden else []
        return [html.Ul(items), *more]


def _item(side: Input | Output, part: float, note: Any, prefix: str) -> html.Li:
    fill = html.Div(className="fill", style={"width": f"{part * 100:.1f}%"})
    line = html.Div(
        [
            address_link(side.address, prefix),
            html.Span(btc(side.value), className="value", title=sat(side.value)),
        ],
        className="reason-line",
    )
    said = [] if note is None else [html.Div(note, className="note")]
    equal = "equal" if isinstance(note, str) and _EQUAL in note else ""
    return html.Li([line, html.Div(fill, className="part"), *said], className=equal)


def address_link(address: str, prefix: str) -> Any:
    """A short address that leads to its page; a script that carries data is named so."""
    if address.startswith(OP_RETURN) and address_type(address) == "op_return":
        return html.Span("OP_RETURN", title=f"data: {address}")
    short = address if len(address) <= _SHORT else f"{address[:9]}…{address[-6:]}"
    return html.A(html.Code(short), href=f"{prefix}address/{address}", title=address)


def _origin(side: Input, by_tail: Mapping[str, str]) -> list[Any] | None:
    """The output that an input spends, as a link where the lake has its transaction."""
    index, _, position = side.outpoint.partition(":")
    parent = by_tail.get(hash_tail(int(index))) if int(index) < INDEX_END else None
    if parent is None:
        return None
    return ["from ", html.A(f"{parent[:10]}…", href=f"#{parent}", title=parent), f":{position}"]


def _output_marks(outputs: Sequence[Output]) -> list[str | None]:
    """Of the first outputs, which are dust, carry data, or have one value with others."""
    counts = Counter(output.value for output in outputs if output.value > 0)
    marks: list[str | None] = []
    for output in outputs[:MOST_SHOWN]:
        words = [f"one of {n:,} {_EQUAL}"] if (n := counts[output.value]) > 1 else []
        if address_type(output.address) == "op_return":
            words.append("carries data, nobody can spend it")
        elif output.value < dust_limit_of(output.address):
            words.append("dust")
        marks.append("; ".join(words) or None)
    return marks


def kin_section() -> html.Section:
    """The place of a transaction's relatives in its panel."""
    further = html.Button("Show one hop further", id="further-hop", className="button")
    return html.Section(
        [html.H3("Before and after it"), html.Div(id="kin"), further], id="kin-section", hidden=True
    )


def kin_view(kin: Kin, zone: ZoneInfo) -> list[Any]:
    """Parents and children of a transaction, each with its own where they were asked for."""
    if not kin.parents and not kin.children:
        return []
    sides = (("spends from", kin.parents, "no parent"), ("spent by", kin.children, "no child"))
    return [
        html.Div(
            [
                html.Div(
                    [
                        html.Div(caption, className="caption"),
                        _kin_list(members, kin, zone, caption)
                        if members
                        else html.P(f"{none} in this lake", className="note"),
                    ]
                )
                for caption, members, none in sides
            ],
            className="inside kin",
        )
    ]


def _kin_list(members: Sequence[Relative], kin: Kin, zone: ZoneInfo, caption: str) -> html.Ul:
    items = []
    for each in members:
        further = kin.further.get(each.hash)
        parts = _member(each, kin, zone)
        if further:
            parts.append(html.Ul([html.Li(_member(next_one, kin, zone)) for next_one in further]))
        elif further is not None:
            parts.append(html.Div("none further in this lake", className="note"))
        items.append(html.Li(parts))
    return html.Ul(items, **attribute("aria-label", caption))


def _member(relative: Relative, kin: Kin, zone: ZoneInfo) -> list[Any]:
    flagged = kin.flags.get(relative.hash)
    badge = [" ", html.Span("flagged", className="badge hot")] if flagged else []
    name = html.A(f"{relative.hash[:10]}…", href=f"#{relative.hash}", title=relative.hash)
    value = html.Span(btc(relative.value), className="value", title=sat(relative.value))
    words: list[Any] = [name, *badge]
    line = html.Div([html.Span(words), value], className="reason-line")
    return [line, html.Div(short_time(relative.append_time, zone), className="note")]
