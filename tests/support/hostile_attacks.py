"""Attacks on the memory, the time and the sockets of API and dashboard: one function each.

A new attack is a new function in the table `ATTACKS`.
"""

import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.support.hostile_requests import Assault, Hostile

from api.schemas import EXAMPLE

HOLD_SECONDS = 5.0
"""How long an attack keeps its sockets open."""

MEGABYTE = 1_000_000


def long_lists(assault: Assault) -> None:
    """2 MB of ones where a transaction has two numbers."""
    ones = b"[" + b"1," * (MEGABYTE - 20) + b"1]"
    for field_name in (b"input_types", b"output_types", b"hash"):
        assault.post("long list", "/predict", b'{"' + field_name + b'":' + ones + b"}")
    assault.post("long batch", "/predict/batch", b'{"transactions":' + ones + b"}")


def long_watch_lists(assault: Assault) -> None:
    """Bodies and files for the watch list of more entries and longer lines than it takes."""
    entry = json.dumps({"entry": "1" * 34, "name": "n", "reason": "r"}).encode()
    entries = b'{"author":"Eve","entries":[' + (entry + b",") * 20_000 + entry + b"]}"
    assault.post("long list", "/watch-list", entries)
    for line in (b"!\n", b"1" * 34 + b"\n", b'"', b"," * 20_000 + b"\n"):
        content = line * (8 * MEGABYTE // len(line))
        headers = {"Content-Type": "text/csv"}
        assault.post("long file", "/watch-list/import?author=Eve", content, **headers)


def long_strings(assault: Assault) -> None:
    body = json.dumps(EXAMPLE | {"hash": "a" * (2 * MEGABYTE - 400)}).encode()
    assault.post("long string", "/predict", body)
    assault.post("long name", "/predict", b'{"' + b"a" * MEGABYTE + b'":1}')


def deep_nesting(assault: Assault) -> None:
    assault.post("deep list", "/predict", b"[" * MEGABYTE)
    assault.post("deep object", "/predict", b'{"a":' * 200_000)


def compressed(assault: Assault) -> None:
    """200 MB of zeros in 200 kB."""
    bomb = gzip.compress(b"\0" * (200 * MEGABYTE), 9)
    assault.post("compressed", "/predict", bomb, **{"Content-Encoding": "gzip"})


def too_large(assault: Assault) -> None:
    assault.post("40 MB", "/predict", b" " * (40 * MEGABYTE))


def stalled_uploads(assault: Assault) -> None:
    """Twenty bodies of which all but the last byte is sent."""
    size = 2 * MEGABYTE
    head = _head("POST /predict", assault.api, f"Content-Length: {size}")
    with _sockets(assault.api, 20) as opened:
        for one in opened:
            _send(one, head + b" " * (size - 1))
        time.sleep(HOLD_SECONDS)  # what the attack is: nothing comes


def trickled_bodies(assault: Assault) -> None:
    """Twenty bodies that come a byte at a time."""
    head = _head("POST /predict", assault.api, "Content-Length: 100000")
    with _sockets(assault.api, 20) as opened:
        for one in opened:
            _send(one, head)
        for _ in range(int(HOLD_SECONDS / 0.1)):
            for one in opened:
                _send(one, b" ")
            time.sleep(0.1)


def endless_headers(assault: Assault) -> None:
    """A request that never comes to its body."""
    for url in (assault.api, assault.dashboard):
        with _sockets(url, 5) as opened:
            for one in opened:
                _send(one, b"GET /health HTTP/1.1\r\n")
                for number in range(20_000):
                    if not _send(one, b"X-%d: " % number + b"a" * 80 + b"\r\n"):
                        break


def cancelled_reads(assault: Assault) -> None:
    """Clients that ask for what takes long, and leave."""
    for url, path in (
        (assault.api, "/anomalies/recent?limit=1000&since=2000-01-01T00:00:00Z"),
        (assault.api, "/transactions?format=parquet"),
        (assault.api, "/transactions?format=csv&value_min=0"),
        (assault.api, "/anomalies?limit=1000"),
        (assault.dashboard, "/?range=30d"),
    ):
        with _sockets(url, 20) as opened:
            for one in opened:
                _send(one, _head(f"GET {path}", url))


def unread_exports(assault: Assault) -> None:
    """Eight clients that ask for every row and read none."""
    for url, path in (
        (assault.dashboard, "/export.csv?range=7d"),
        (assault.api, "/transactions?format=csv"),
    ):
        with _sockets(url, 8) as opened:
            for one in opened:
                _send(one, _head(f"GET {path}", url))
            time.sleep(HOLD_SECONDS)


def unread_streams(assault: Assault) -> None:
    """Three hundred clients of the stream that read nothing, and leave."""
    with _sockets(assault.api, 300) as opened:
        for one in opened:
            _send(one, _head(f"GET /anomalies/stream?after=1-{'0' * 64}-0-", assault.api))
        time.sleep(HOLD_SECONDS)


def wide_views(assault: Assault) -> None:
    """The widest ranges, each with other filters, so that none is in a cache."""
    for number, wide in enumerate(("7d", "30d", "7d", "30d")):
        path = f"/?range={wide}&fee_rate_min={1 + number + assault.sent % 97 / 100}"
        assault.send(Hostile("dashboard", "GET", path))


def large_callbacks(assault: Assault) -> None:
    """Bodies for the address at which Dash takes its callbacks."""
    for body in (b"", b"[]", b"{", b'{"output":' * 100, b"[" * MEGABYTE, b" " * (20 * MEGABYTE)):
        assault.send(Hostile("dashboard", "POST", "/_dash-update-component", body))


ATTACKS: dict[str, Callable[[Assault], None]] = {
    attack.__name__: attack
    for attack in (
        long_lists,
        long_watch_lists,
        long_strings,
        deep_nesting,
        compressed,
        too_large,
        stalled_uploads,
        trickled_bodies,
        endless_headers,
        cancelled_reads,
        unread_exports,
        unread_streams,
        wide_views,
        large_callbacks,
    )
}


def _head(line: str, url: str, *headers: str) -> bytes:
    host = urlsplit(url).netloc
    fields = (f"Host: {host}", "Content-Type: application/json", *headers)
    return "\r\n".join((f"{line} HTTP/1.1", *fields, "", "")).encode()


def _send(one: socket.socket, data: bytes) -> bool:
    """Whether the other end still takes it."""
    try:
        one.sendall(data)
    except OSError:
        return False
    return True


@contextmanager
def _sockets(url: str, count: int) -> Iterator[list[socket.socket]]:
    parts = urlsplit(url)
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            with suppress(OSError):  # a service may refuse more connections
                opened.append(socket.create_connection((parts.hostname, parts.port), timeout=10))
        yield opened
    finally:
        for one in opened:
            one.close()
