"""The daily report for people: as plain text for messages, and as a page of HTML.

Everything that is not this file's own words is escaped, so that markup in it stays text.
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from html import escape

from core.daily_drift import DailyDrift
from core.daily_report import FIRST_DAY, LAST_DAY, PRECISION_DAYS, DailyReport, TopFlag
from core.detector.explanation import NOT_ILLICIT, number
from core.feature_table import FEATURES
from core.transaction import COIN

Section = tuple[str, list[str]]
_DAY = timedelta(days=1)


def sections(report: DailyReport) -> list[Section]:
    """The report without its top ten: titles, and sentences below each."""
    return [
        ("Counts", _counts(report)),
        ("Marks", _marks(report)),
        ("Model and market", _model(report)),
        ("Drift", _drift(report.drift)),
        ("Data quality", _quality(report)),
    ]


def as_text(report: DailyReport) -> str:
    """The report as lines of plain text."""
    lines: list[str] = []
    for title, sentences in sections(report):
        lines += [title, *(f"- {sentence}" for sentence in sentences), ""]
    lines.append("Most severe" if report.top else "Nothing was flagged.")
    for place, flag in enumerate(report.top, 1):
        lines += [f"{place}. [{flag.severity}] {flag.hash}", f"   {_why(flag)}"]
    return "\n".join([*lines, "", NOT_ILLICIT])


def as_html(report: DailyReport) -> str:
    """The report as a page, which loads nothing from elsewhere."""
    parts = [f"<h1>Daily report of {report.day}</h1>", _days_beside(report.day)]
    for title, sentences in sections(report):
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        parts.append(f"<h2>{escape(title)}</h2><ul>{items}</ul>")
    parts.append("<h2>Most severe</h2>")
    parts.append(_top_table(report) if report.top else "<p>Nothing was flagged.</p>")
    parts.append(f"<p>{escape(NOT_ILLICIT)}</p>")
    return _PAGE.format(title=f"Daily report of {report.day}", body="\n".join(parts))


def _days_beside(day: date) -> str:
    """Links to the reports of the day before and of the day after."""
    days = {"the day before": day - _DAY, "the day after": day + _DAY}
    links = [
        f'<a href="?day={beside}">{words}</a>'
        for words, beside in days.items()
        if FIRST_DAY <= beside <= LAST_DAY
    ]
    return f"<nav>{' · '.join(links)}</nav>"


def _counts(report: DailyReport) -> list[str]:
    share = report.flagged / report.scored if report.scored else 0.0
    sentences = [
        f"{report.transactions:,} transactions; the day before {report.transactions_before:,}.",
        f"{report.flagged:,} flagged ({share:.3%} of {report.scored:,} scored); the day before "
        f"{report.flagged_before:,}.",
    ]
    if report.flagged:
        sentences.append(f"By severity: {_listed(report.by_severity)}.")
        sentences.append(f"Flagged by: {_listed(report.by_what)}.")
    if report.by_pattern:
        named = {name.replace("_", " "): n for name, n in report.by_pattern.items()}
        sentences.append(f"By pattern: {_listed(dict(list(named.items())[:8]))}.")
    sentences.append(f"{report.cases_opened:,} cases opened, {report.cases_closed:,} closed.")
    return sentences


def _marks(report: DailyReport) -> list[str]:
    if report.precision is None:
        return [f"Nobody marked a flag in the last {PRECISION_DAYS} days."]
    named = {name.replace("_", " "): n for name, n in report.marked.items()}
    return [
        f"Of the flags marked in the last {PRECISION_DAYS} days, {report.precision:.0%} were "
        f"useful: {_listed(named)}."
    ]


def _model(report: DailyReport) -> list[str]:
    versions = [f"version {name} ({count:,})" for name, count in report.model_versions.items()]
    sentences = [f"Scored by {', '.join(versions)}." if versions else "Nothing was scored."]
    if report.market_median is not None:
        before = ""
        if report.market_before is not None:
            before = f"; the day before {number(report.market_before)}"
        sentences.append(f"Others paid {number(report.market_median)} sat/vB{before}.")
    return sentences


def _drift(drift: DailyDrift) -> list[str]:
    if drift.limit is None:
        return [f"Not known: {drift.problem}."]
    words = {feature.name: feature.words for feature in FEATURES}
    indexes = {words.get(name, name.replace("_", " ")): n for name, n in drift.indexes.items()}
    beyond = [name for name, index in indexes.items() if index >= drift.limit]
    since = f"since version {drift.model_version} was trained"
    largest = ", ".join(f"{name} {index:.2f}" for name, index in list(indexes.items())[:3])
    return [
        f"Drifted {since}: {', '.join(beyond)}." if beyond else f"Nothing has drifted {since}.",
        f"Largest population stability indexes: {largest}; {drift.limit:.2f} or more is drift.",
    ]


def _quality(report: DailyReport) -> list[str]:
    refused = sum(report.quarantined.values())
    topics = f": {_listed(report.quarantined)}" if refused else ""
    sentences = [
        f"{refused:,} records in quarantine{topics}.",
        f"{report.unscored:,} transactions without a score.",
    ]
    gaps = [f"{gap.start:%H:%M} to {gap.end:%H:%M}" for gap in report.gaps]
    if gaps:
        sentences.append(f"No transactions arrived (UTC): {', '.join(gaps)}.")
    else:
        sentences.append("No gap of five minutes or more between transactions.")
    return sentences


def _why(flag: TopFlag) -> str:
    """Why it is flagged; what is true of all of them is said once, below the ten."""
    return flag.explanation.removesuffix(NOT_ILLICIT).strip()


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _top_table(report: DailyReport) -> str:
    rows: Iterable[str] = (
        f"<tr><td>{escape(flag.severity)}</td>"
        f"<td><code>{escape(flag.hash)}</code><br>{escape(_why(flag))}</td>"
        f"<td>{escape(number(flag.output_value / COIN))}</td></tr>"
        for flag in report.top
    )
    head = "<tr><th scope=col>severity</th><th scope=col>transaction and why</th>"
    return f"<table><thead>{head}<th scope=col>BTC</th></tr></thead>{''.join(rows)}</table>"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; }}
main {{ padding: 0 1rem; }}
a {{ color: inherit; }}
h1 {{ font-size: clamp(1.2rem, 5vw, 1.5rem); }}
h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
ul {{ padding-left: 1.2rem; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; vertical-align: top; padding: .5rem .75rem .5rem 0; }}
tr + tr td, tbody td {{ border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); }}
th:last-child, td:last-child {{ text-align: right; padding-right: 0; white-space: nowrap; }}
code {{ overflow-wrap: anywhere; font-size: .85em; }}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
