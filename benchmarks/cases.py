"""Cases: what making one of a flag costs, and how long a page of the queue takes.

`python -m benchmarks.cases [CASES]` (100,000 by default). The service is called in this process on
a topic in memory, one message a read, as at a few flags a minute, and five hundred a read, as after
a stop. Pages are read while a flag joins before each of them; the application answers in this
process, without a network.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pyarrow as pa
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application
from tests.support.case_samples import NOON, ListTopic, a_builder, a_flag

from casework.flags import flag_row
from core.case_index import CaseFilter
from core.case_rows import CASE_MEMBERS
from core.cases import CaseBook
from core.casework import CaseworkStore
from core.detector.patterns import PATTERNS

CASES, MEMBERS_A_CASE = 100_000, 3
FLAGS, PAGES = 200, 40
FLAGS_A_SECOND = 0.5
"""At 50 transactions a second with one flag in 100."""


@contextmanager
def folder() -> Iterator[str]:
    """A folder for the tables."""
    with tempfile.TemporaryDirectory() as name:
        yield f"{name}/casework"


def fill(root: str, cases: int) -> None:
    """Write so many cases of three members each, as years of work leave them."""
    rows, names = [], [pattern.name for pattern in PATTERNS]
    template = flag_row(a_flag(1), NOON) | {"why": ["first"], "linked_to": None}
    for sequence in range(1, MEMBERS_A_CASE * cases + 1):
        number = (sequence - 1) // MEMBERS_A_CASE + 1
        rank = number * 7_919 % 100
        severity = "critical" if rank < 1 else "high" if rank < 10 else "low"
        rows.append(
            template
            | {"sequence": sequence, "number": number, "key": f"{sequence:064x}"}
            | {"hash": f"{sequence:064x}", "first": True, "severity": severity}
            | {"joined_at": NOON - timedelta(days=30), "patterns": [names[number % len(names)]]}
        )
        if len(rows) == 50_000 or sequence == MEMBERS_A_CASE * cases:
            table = pa.Table.from_pylist(rows, CASE_MEMBERS)
            CaseworkStore(root, "simulated").append("case_members", table)
            rows = []


def build(root: str, first: int, a_read: int) -> tuple[float, float]:
    """Seconds and processor's seconds a message, of those after the first read."""
    topic = ListTopic()
    topic.id, topic.most = first, a_read
    topic.add(*(a_flag(first + number) for number in range(FLAGS + a_read)))
    builder = a_builder(root, topic)
    builder.turn(0)
    count, wall, cpu = topic.lag(), perf_counter(), process_time()
    while topic.lag():
        builder.turn(0)
    return (perf_counter() - wall) / count, (process_time() - cpu) / count


def milliseconds(read: Callable[[], Any], before: Callable[[], Any]) -> str:
    """The median and the 95th percentile of many reads, with something done before each."""
    seconds = []
    for _ in range(PAGES):
        before()
        started = perf_counter()
        read()
        seconds.append(perf_counter() - started)
    return f"{1e3 * np.median(seconds):.0f} | {1e3 * np.quantile(seconds, 0.95):.0f}"


def print_building(root: str, words: str, first: int) -> None:
    """Print what one message costs."""
    for a_read in (1, 500):
        wall, cpu = build(root, first + 10_000 * a_read, a_read)
        share = f"{100 * cpu * FLAGS_A_SECOND:.1f} %" if a_read == 1 else "–"
        print(f"| {words}, {a_read} a read | {1e3 * wall:.1f} | {1e3 * cpu:.1f} | {share} |")


def print_pages(root: str, cases: int) -> None:
    """Print how long a page of the queue takes, with one flag joining before each."""
    topic = ListTopic()
    builder, book = a_builder(root, topic), CaseBook(CaseworkStore(root, "simulated"))
    started = perf_counter()
    book.page(CaseFilter(), None, 50)
    print(f"\nThe first page of a new process: {1e3 * (perf_counter() - started):,.0f} ms\n")

    numbers = iter(range(10**7, 10**8))

    def join() -> None:
        topic.add(a_flag(next(numbers)))
        builder.turn(0)

    client = TestClient(application(FixedFollower(), casework=root))
    case = f"/cases/{cases // 2}"
    reads: dict[str, Callable[[], Any]] = {
        "page of 50": lambda: book.page(CaseFilter(), None, 50),
        "GET /cases": lambda: client.get("/cases").raise_for_status(),
        "GET /cases?state=new&pattern=dust": lambda: client.get(
            "/cases", params={"state": "new", "pattern": "dust"}
        ).raise_for_status(),
        f"GET {case}": lambda: client.get(case).raise_for_status(),
    }
    print("| read | median, ms | p95, ms |\n|---|---:|---:|")
    for name, read in reads.items():
        read()
        print(f"| {name} | {milliseconds(read, join)} |")


def main() -> None:
    """Print the tables."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else CASES
    print("| making cases | ms a message | CPU ms a message | of a core at 0.5 flags/s |")
    print("|---|---:|---:|---:|")
    with folder() as root:
        print_building(root, "empty tables", 1)
    with folder() as root:
        fill(root, cases)
        print_building(root, f"{cases:,} cases", 10**6)
        print_pages(root, cases)


if __name__ == "__main__":
    main()
