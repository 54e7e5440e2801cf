"""What would make a flagged transaction ordinary, as the API says it."""

from collections.abc import Mapping
from typing import Any

import requests
from dash import html

from core.detector.explanation import amount
from dashboard.lake.sources import Api

HEADING = "What would make it ordinary"
CONSISTENT = "Each alone, the other numbers consistent with it; by model version {version}."

_WORDS = {
    "fee": "a fee of {new} in place of {old}",
    "output_value": "outputs worth {new} in place of {old}",
    "inputs_count": "{new} inputs in place of {old}, at the same fee rate",
    "outputs_count": "{new} outputs in place of {old}, at the same fee rate",
}
_COUNTS = ("inputs_count", "outputs_count")


def ordinary_section(api: Api, row: Mapping[str, Any]) -> list[Any]:
    """The smallest change of each number that is enough; nothing for what is not flagged.

    `row` is one of `scored_transactions`. Without an answer of the API there is no such section.
    """
    if not row["is_anomaly"]:
        return []
    try:
        status, answer = api.counterfactuals(row)
    except requests.RequestException:
        return []
    if status != 200:
        return []
    version = answer["model_version"]
    if not answer["is_anomaly"]:
        words = f"Model version {version} does not flag it, judged alone beside what others paid."
        return [html.H3(HEADING), html.P(words, className="note")]
    if not answer["changes"]:
        words = f"No change of one number would, says model version {version}."
        return [html.H3(HEADING), html.P(words, className="note")]
    items = [html.Li(change_words(change, row)) for change in answer["changes"]]
    note = html.P(CONSISTENT.format(version=version), className="note")
    return [html.H3(HEADING), html.Ul(items, className="changes"), note]


def change_words(change: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """One change in words.

    >>> change_words({"field": "fee", "value": 900, "anomaly_score": 0.6}, {"fee": 90_000})
    'a fee of 900 sat in place of 90,000 sat: score 0.600'
    """
    field = change["field"]
    show = "{:,}".format if field in _COUNTS else amount
    words = _WORDS[field].format(new=show(change["value"]), old=show(row[field]))
    return f"{words}: score {change['anomaly_score']:.3f}"
