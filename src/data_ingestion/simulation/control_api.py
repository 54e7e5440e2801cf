"""The simulator's own surface, under /simulator/: ground truth, request log, and the switches."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from core.detector.injected_anomalies import KINDS
from data_ingestion.simulation.answers import Answer, json_answer, words
from data_ingestion.simulation.faults import FAULTS, Fault, Faults
from data_ingestion.simulation.network import Network

MOST_AT_ONCE = 10_000
"""Transactions in the largest burst; blocks in the deepest reorganisation are bounded anyway."""

Query = Mapping[str, str]


class ControlApi:
    """Answers for a person or a test that provokes things and wants to know what happened."""

    def __init__(
        self, network: Network, faults: Faults, requests: Iterable[dict[str, Any]]
    ) -> None:
        self._network, self._faults, self._requests = network, faults, requests
        self._reads: dict[str, Callable[[], object]] = {
            "health": self._health,
            "truth": network.truth.report,
            "requests": lambda: list(self._requests),
            "faults": self._switched_on,
        }
        self._deeds: dict[str, Callable[[Query, float], object]] = {
            "inject": self._inject,
            "mine": self._mine,
            "reorganise": self._reorganise,
            "burst": self._burst,
            "faults": self._switch,
        }

    def answer(self, method: str, name: str, query: Query, now: float) -> Answer:
        """The answer for /simulator/NAME; a wrong argument is a 400 that names it."""
        try:
            if method == "GET" and name in self._reads:
                return json_answer(self._reads[name]())
            if method == "POST" and name in self._deeds:
                return json_answer(self._deeds[name](query, now))
        except ValueError as wrong:
            return json_answer({"error": "bad-request", "message": words(wrong)}, 400)
        known = f"GET {', '.join(self._reads)}; POST {', '.join(self._deeds)}"
        return json_answer({"error": "not-found", "message": f"known are: {known}"}, 404)

    def _health(self) -> dict[str, object]:
        return {
            "status": "ok",
            "height": self._network.chain.height,
            "waiting": len(self._network.waiting),
            "replay_ended": self._network.ended,
        }

    def _inject(self, query: Query, now: float) -> dict[str, str]:
        kind = query.get("kind", "")
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        return {"hash": self._network.inject(kind, now).hash, "kind": kind}

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

    def _switch(self, query: Query, _now: float) -> list[dict[str, object]]:
        """Switch a fault on (name, probability, count, …), off (off=1), or all off (clear=1)."""
        if query.get("clear"):
            self._faults.switch_off()
        elif query.get("name") not in FAULTS:
            raise ValueError(f"name must be one of {', '.join(FAULTS)}")
        elif query.get("off"):
            self._faults.switch_off(query["name"])
        else:
            self._faults.switch_on(Fault.model_validate(dict(query)))
        return self._switched_on()

    def _switched_on(self) -> list[dict[str, object]]:
        return [fault.model_dump(exclude_none=True) for fault in self._faults.active()]


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise ValueError(f"{name} must be a whole number")
    if not 1 <= int(text) <= MOST_AT_ONCE:
        raise ValueError(f"{name} must lie between 1 and {MOST_AT_ONCE}")
    return int(text)
