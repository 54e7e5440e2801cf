"""The simulator's own endpoints under /simulator/: what really happened, and switches.

A person or a test causes events with them and reads what the simulator knows.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from core.detector.injected_anomalies import KINDS
from data_ingestion.simulation.drafts import OVERPAID
from data_ingestion.simulation.faults import FAULTS, Fault, Faults, error_message
from data_ingestion.simulation.http_server import Answer, json_answer
from data_ingestion.simulation.network import Network
from data_ingestion.simulation.rendering import address_of
from data_ingestion.simulation.simulated_market import FACTORS

MAX_COUNT = 10_000
"""Largest `count` of a burst and `depth` of a reorganisation."""

OVERPAID_FACTORS = (1.0, 100_000.0)
"""Least and largest `factor` of an overpaid fee."""

MOST_NAME = 80
"""Characters of a payer's name."""

Query = Mapping[str, str]


class ControlApi:
    """Answers GET requests with the simulator's state, and POST requests by changing it."""

    def __init__(
        self, network: Network, faults: Faults, requests: Iterable[dict[str, Any]]
    ) -> None:
        self._network, self._faults, self._requests = network, faults, requests
        self._reads: dict[str, Callable[[float], object]] = {
            "health": lambda _now: self._health(),
            "truth": lambda _now: network.truth.report(),
            "requests": lambda _now: list(self._requests),
            "faults": lambda _now: self._active_faults(),
            "market": self._market,
        }
        self._actions: dict[str, Callable[[Query, float], object]] = {
            "inject": self._inject,
            "mine": self._mine,
            "reorganise": self._reorganise,
            "burst": self._burst,
            "faults": self._switch_fault,
            "market": self._multiply_market,
        }

    def answer(self, method: str, name: str, query: Query, now: float) -> Answer:
        """The answer for /simulator/NAME; a wrong argument is a 400 that names it."""
        try:
            if method == "GET" and name in self._reads:
                return json_answer(self._reads[name](now))
            if method == "POST" and name in self._actions:
                return json_answer(self._actions[name](query, now))
        except ValueError as error:
            return json_answer({"error": "bad-request", "message": error_message(error)}, 400)
        gets, posts = ", ".join(self._reads), ", ".join(self._actions)
        message = f"the endpoints are: GET {gets}; POST {posts}"
        return json_answer({"error": "not-found", "message": message}, 404)

    def _health(self) -> dict[str, object]:
        return {
            "status": "ok",
            "height": self._network.chain.height,
            "waiting": len(self._network.waiting),
            "replay_ended": self._network.replay_ended,
        }

    def _market(self, now: float) -> dict[str, object]:
        """The path, the factor set on it, and what senders pay: fee rates in sat/vB."""
        market = self._network.market
        return {
            "path": market.path,
            "factor": market.factor,
            "level": market.level(now),
            "going_rate": market.going_rate(now),
        }

    def _multiply_market(self, query: Query, now: float) -> dict[str, object]:
        self._network.market.multiply(_factor(query, *FACTORS))
        return self._market(now)

    def _inject(self, query: Query, now: float) -> dict[str, object]:
        kind = query.get("kind", "")
        if kind == OVERPAID:
            return self._overpay(_factor(query, *OVERPAID_FACTORS), now)
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join((*KINDS, OVERPAID))}")
        if (payer := query.get("payer")) is None:
            return {"hash": self._network.inject(kind, now).hash, "kind": kind}
        if not 1 <= len(payer) <= MOST_NAME:
            raise ValueError(f"payer must have 1 to {MOST_NAME} characters")
        injected = self._network.inject(kind, now, payer)
        return {"hash": injected.hash, "kind": kind, "payer": address_of(payer)}

    def _overpay(self, factor: float, now: float) -> dict[str, object]:
        going = self._network.market.going_rate(now)
        paid = self._network.overpay(factor, now)
        rates = {"going_rate": going, "fee_rate": paid.fee * 4 / paid.weight}
        return {"hash": paid.hash, "kind": OVERPAID, "factor": factor, **rates}

    def _mine(self, _query: Query, now: float) -> dict[str, object]:
        block = self._network.mine(now)
        return {
            "hash": block.hash,
            "height": block.height,
            "transactions": len(block.transactions),
        }

    def _reorganise(self, query: Query, now: float) -> dict[str, list[str]]:
        depth = _number(query, "depth", 2)
        return {"branch": [block.hash for block in self._network.reorganise(depth, now)]}

    def _burst(self, query: Query, now: float) -> dict[str, int]:
        count = _number(query, "count", 400)
        self._network.burst(count, now)
        return {"count": count}

    def _switch_fault(self, query: Query, _now: float) -> list[dict[str, object]]:
        """Switch a fault on (name, probability, count, …) or off (off=1), or all off (clear=1)."""
        if query.get("clear"):
            self._faults.switch_off()
        elif query.get("name") not in FAULTS:
            raise ValueError(f"name must be one of {', '.join(FAULTS)}")
        elif query.get("off"):
            self._faults.switch_off(query["name"])
        else:
            self._faults.switch_on(Fault.model_validate(dict(query)))
        return self._active_faults()

    def _active_faults(self) -> list[dict[str, object]]:
        return [fault.model_dump(exclude_none=True) for fault in self._faults.active()]


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise ValueError(f"{name} must be a whole number")
    if not 1 <= int(text) <= MAX_COUNT:
        raise ValueError(f"{name} must be between 1 and {MAX_COUNT}")
    return int(text)


def _factor(query: Query, least: float, most: float) -> float:
    text = query.get("factor", "")
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not least <= factor <= most:
        raise ValueError(f"factor must be a number between {least:g} and {most:g}")
    return factor
