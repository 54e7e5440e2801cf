"""Requests that no honest client sends, the client that sends them, and a watch on `/health`.

Nothing here checks an answer beyond its status: a service may refuse whatever it likes, as long as
it answers with an error of the client's, or with 503, and goes on.
"""

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import hypothesis
import requests
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from tests.support.blockchain_samples import payment
from tests.support.dashboard_backend import READ_OUT

from api.schemas import EXAMPLE

log = logging.getLogger(__name__)

BODIES = int(os.environ.get("BODIES") or "20000")
"""How many requests are generated."""

SEED = int(os.environ.get("SEED") or "0")
"""Another seed generates other requests."""

HEALTH_SECONDS = 1.0
"""The health endpoint answers within this time, or the client gives up."""

LISTS = ("/anomalies/recent", "/anomalies", "/transactions", "/anomalies/stream")
"""What the API reads from its table; an answer without an end is left after its head."""

RANGES = ("1h", "6h", "24h", "7d", "30d", "all", "custom", "", "\0")


@dataclass(frozen=True)
class Hostile:
    """One request; `service` is `api` or `dashboard`."""

    service: str
    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=40)
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=12), inner, max_size=8)
    ),
    max_leaves=30,
)


def _changed(sample: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A valid body of which some fields have another value."""
    names = st.sampled_from(sorted(sample))
    return st.dictionaries(names, _JSON, max_size=4).map(lambda changes: sample | changes)


_TRANSACTIONS = _changed(EXAMPLE) | _changed(payment()) | _JSON
_BATCHES = st.fixed_dictionaries(
    {"transactions": st.lists(_TRANSACTIONS, max_size=20) | _JSON},
    optional={"reasons": _SCALARS},
)
_BODIES = (_TRANSACTIONS | _BATCHES).map(lambda value: json.dumps(value).encode()) | st.binary(
    max_size=400
)
_QUERIES = st.dictionaries(
    st.sampled_from(
        ["range", "start", "end", "fee_rate_min", "value_max", "hash", "limit", "since"]
        + ["cursor", "format", "pattern", "flagged_by", "threshold", "coinbase", "after"]
    )
    | st.text(max_size=8),
    st.sampled_from([*RANGES, "csv", "parquet", "none", "rule"])
    | st.text(max_size=30)
    | st.integers().map(str),
    max_size=5,
).map(urlencode)

_ADDRESS = "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH"
_ENTRY = {
    "entry": _ADDRESS,
    "kind": None,
    "name": "<b>=1+1</b>",
    "reason": "asked for",
    "severity": "high",
}
_LISTS = st.fixed_dictionaries(
    {"entries": st.lists(_changed(_ENTRY), max_size=5) | _JSON},
    optional={"author": st.just("Eve") | _SCALARS},
).map(lambda value: json.dumps(value).encode())
_FILES = st.lists(
    st.sampled_from(["entry,name", _ADDRESS, "6a0101,=1", '"']) | st.text(max_size=60),
    max_size=6,
).map(lambda lines: "\n".join(lines).encode("utf-8", "replace"))
_WATCHING = st.sampled_from(
    ["/watch-list", "/watch-list/history", "/watch-list/seen", "/watch-list.csv"]
)
_WATCH_QUERIES = st.dictionaries(
    st.sampled_from(["search", "offset", "limit", "entry", "days", "author"]) | st.text(max_size=8),
    st.sampled_from([_ADDRESS, "7", "' OR 1=1", "\0"]) | st.text(max_size=30),
    max_size=4,
).map(lambda query: urlencode(query, errors="replace"))

WATCHING = st.one_of(
    st.builds(Hostile, st.just("api"), st.just("POST"), st.just("/watch-list"), _LISTS | _BODIES),
    st.builds(
        Hostile,
        st.just("api"),
        st.just("POST"),
        _WATCH_QUERIES.map(lambda query: f"/watch-list/import?author=Eve&{query}"),
        _FILES | st.binary(max_size=200),
        st.sampled_from(["text/csv", "text/plain; charset=latin-1", "application/json"]),
    ),
    st.builds(
        Hostile,
        st.just("api"),
        st.sampled_from(["GET", "HEAD", "DELETE"]),
        st.tuples(
            _WATCHING
            | st.text(max_size=30).map(lambda t: f"/watch-list/{quote(t, errors='replace')}"),
            _WATCH_QUERIES,
        ).map("?".join),
    ),
)
"""Requests to the routes of the watch list."""

_POSTS = st.builds(
    Hostile,
    st.just("api"),
    st.just("POST"),
    st.sampled_from(["/predict", "/predict/batch", "/predict/counterfactuals"]),
    _BODIES,
    st.sampled_from(["application/json"] * 3 + ["text/plain", "application/json; charset=utf-16"]),
)
_READS = st.builds(
    Hostile,
    st.just("api"),
    st.sampled_from(["GET", "HEAD", "OPTIONS", "DELETE"]),
    st.tuples(st.sampled_from(LISTS), _QUERIES).map("?".join),
)
_PAGES = st.builds(
    Hostile,
    st.just("dashboard"),
    st.just("GET"),
    st.tuples(st.sampled_from(["/", "/export.csv"]), _QUERIES).map("?".join),
)
_CALLBACKS = st.builds(
    Hostile,
    st.just("dashboard"),
    st.just("POST"),
    st.just("/_dash-update-component"),
    _changed(READ_OUT).map(lambda body: json.dumps(body).encode()),
)

REQUESTS = st.integers(0, 7).flatmap(
    lambda number: {0: _READS, 1: _PAGES, 2: _CALLBACKS, 3: WATCHING}.get(number, _POSTS)
)
"""Any request: of eight one reads the API's table, one is about the watch list, two ask the
dashboard, the others are scored."""


class HealthWatch(threading.Thread):
    """Asks `/health` of services all the time; `failures` has what was not an answer, and when."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        super().__init__(daemon=True)
        self._urls, self._done = urls, threading.Event()
        self.asked, self.failures = 0, list[str]()

    def run(self) -> None:
        while not self._done.wait(0.2):
            for name, url in self._urls.items():
                self.asked += 1
                try:
                    answer = requests.get(f"{url}/health", timeout=HEALTH_SECONDS)
                    if answer.status_code != 200:
                        self._note(f"{name}: status {answer.status_code}")
                except requests.RequestException as error:
                    self._note(f"{name}: {type(error).__name__}")

    def _note(self, failure: str) -> None:
        load = os.getloadavg()[0]
        self.failures.append(f"{datetime.now(UTC):%H:%M:%S} {failure}, load {load:.1f}")
        log.warning("%s", self.failures[-1])

    def stop(self) -> None:
        self._done.set()
        self.join()


@dataclass
class Assault:
    """Sends requests to both services; `errors` has every answer that is a fault of theirs."""

    api: str
    dashboard: str
    errors: list[str] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self._watch = HealthWatch({"api": self.api, "dashboard": self.dashboard})

    def run(
        self,
        bodies: int,
        attacks: Mapping[str, Callable[["Assault"], None]],
        problems: Callable[[], list[str]],
    ) -> None:
        """Send so many generated requests, and after each share of them one attack.

        Every attack comes twice. Ends early when there are `problems` after one of them.
        """
        programme = sorted(attacks) * 2
        self._watch.start()
        try:
            for number, name in enumerate(programme):
                self._generate(-(-bodies // len(programme)), seed=100 * SEED + number)
                attacks[name](self)
                log.info("%d requests, the last of them by %s", self.sent, name)
                assert not (found := problems()), f"after {name}: {found}"
        finally:
            self._watch.stop()

    def faults(self) -> list[str]:
        """Answers that are the services' own faults, and health that was not answered in time."""
        assert self._watch.asked > 0
        return self.errors + self._watch.failures

    def _generate(self, requests: int, seed: int) -> None:
        """Send so many requests that hypothesis generates."""

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=requests,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(REQUESTS)
        def send(request: Hostile) -> None:
            self.send(request)

        send()

    def send(self, request: Hostile) -> None:
        url = {"api": self.api, "dashboard": self.dashboard}[request.service] + request.path
        headers = {"Content-Type": request.content_type}
        without_end = request.path.startswith("/anomalies/stream")

        def call() -> requests.Response:
            with requests.request(
                request.method,
                url,
                data=request.body,
                headers=headers,
                timeout=60,
                stream=without_end,
            ) as answer:
                return answer

        self._note(str(request)[:300], call)

    def post(self, what: str, path: str, body: bytes, **headers: str) -> None:
        sent = {"Content-Type": "application/json"} | headers
        self._note(
            what, lambda: requests.post(self.api + path, data=body, headers=sent, timeout=60)
        )

    def _note(self, what: str, call: Callable[[], requests.Response]) -> None:
        self.sent += 1
        try:
            status = call().status_code
        except requests.ConnectionError:
            return  # a service may close the connection of a client that it refuses
        except requests.RequestException as error:
            self.errors.append(f"{what}: {error!r}")
            return
        if status >= 500 and status != 503:
            self.errors.append(f"{what}: status {status}")
