"""Scored transactions in all their variety, and which of them pass the filters of a list."""

import random
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.support.scored_lake import NOW, scored_row

from core.transaction import COIN, is_coinbase

Row = dict[str, Any]

PATTERN_NAMES = ("fee_overpaid", "dust_fan_out", "consolidation")


def varied_row(rng: random.Random, hours: float = 100) -> Row:
    """A row of the last `hours`; many have one event time, and some are of an earlier release."""
    age = timedelta(hours=rng.choice((0.5, 3, 20, hours)) * rng.choice((0.1, 0.5, 1)))
    row: Row = scored_row(rng.randbytes(32).hex(), age, rng.choice((0.2, 0.45, 0.6, 0.7, 0.9)))
    patterns = rng.sample(PATTERN_NAMES, rng.randint(0, 2))
    row |= {
        "fee_rate": rng.choice((0.5, 4.0, 40.0)),
        "output_value": rng.choice((0, 100, COIN, 29 * COIN // 100)),
        "inputs_count": rng.randint(1, 4),
        "outputs_count": rng.randint(1, 4),
        "source": rng.choice(("mempool", "block")),
        "model_version": rng.choice(("2", "3", "rules")),
        "market_fee_rate": rng.choice((None, 2.0, 20.0)),
        "pattern": patterns[0] if patterns else None,
        "patterns": rng.choice((patterns, patterns, None)),
    }
    by_model = row["anomaly_score"] >= row["threshold"]
    by_rule = rng.random() < 0.2
    row["flagged_by"] = ("rule", "both")[by_model] if by_rule else "model" if by_model else None
    row["is_anomaly"] = by_model or by_rule
    if rng.random() < 0.1:
        coinbase = {"inputs_count": 1, "input_value": 0, "fee": 0, "output_value": 50 * COIN}
        row |= coinbase | {"is_anomaly": False, "flagged_by": None}
    return row


def passes(row: Row, asked: Mapping[str, str], only_flagged: bool) -> bool:
    """Whether a row passes the parameters of a list, but for `range`, which depends on the time."""
    by_rule = row["flagged_by"] in ("rule", "both")
    by_model = row["is_anomaly"] and row["flagged_by"] != "rule"
    if "threshold" in asked:
        by_model = row["anomaly_score"] >= float(asked["threshold"]) and not _coinbase(row)
    by = {(True, True): "both", (True, False): "model", (False, True): "rule"}
    flagged_by = by.get((by_model, by_rule))
    market = row["market_fee_rate"]
    numbers = {
        "score": row["anomaly_score"],
        "margin": row["anomaly_score"] - row["threshold"],
        "value": Decimal(row["output_value"]) / COIN,
        "fee_rate": row["fee_rate"],
        "times": None if market is None else row["fee_rate"] / market,
        "inputs": row["inputs_count"],
        "outputs": row["outputs_count"],
    }
    names = row["patterns"]
    if names is None:
        names = [row["pattern"]] if row["pattern"] else []
    return (
        (not only_flagged or flagged_by is not None)
        and ("flagged_by" not in asked or flagged_by in asked["flagged_by"].split(","))
        and all(_bounded(numbers[name], name, asked) for name in numbers)
        and ("pattern" not in asked or _has_one(names, row["pattern"], asked["pattern"]))
        and row["hash"].startswith(asked.get("hash", "").lower())
        and asked.get("model_version", row["model_version"]) == row["model_version"]
        and asked.get("source", row["source"]) == row["source"]
        and asked.get("coinbase", str(_coinbase(row)).lower()) == str(_coinbase(row)).lower()
        and asked.get("start", "") <= row["event_time"].isoformat()
        and row["event_time"].isoformat() <= asked.get("end", "9")
    )


def _coinbase(row: Row) -> bool:
    names = ("fee", "inputs_count", "input_value", "output_value")
    return bool(is_coinbase(**{name: row[name] for name in names}))


def _bounded(value: Any, name: str, asked: Mapping[str, str]) -> bool:
    least, most = asked.get(f"{name}_min"), asked.get(f"{name}_max")
    if least is None and most is None:
        return True
    if value is None:
        return False
    kind = Decimal if isinstance(value, Decimal) else float
    return (least is None or value >= kind(least)) and (most is None or value <= kind(most))


def _has_one(names: list[str], first: str | None, asked: str) -> bool:
    wanted = asked.split(",")
    return not set(names).isdisjoint(wanted) or ("none" in wanted and first is None)


def newest_first(rows: list[Row]) -> list[str]:
    """The hashes of rows in the order of a list."""
    return [row["hash"] for row in sorted(rows, key=lambda r: (NOW - r["event_time"], r["hash"]))]
