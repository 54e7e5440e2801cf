"""Load an HTTP service with wrk where it is installed, else from Python.

The sender in Python reaches about 5,000 requests a second, so that ratios measured with it flatter
the slower service. Unlike wrk it can also send at a steady rate.
"""

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass
class Load:
    """What a service did under load; times in seconds, `failed` answers are not 2xx.

    `processor` is the service's processor time for one answer, where it was measured.
    """

    per_second: float
    p99: float
    failed: int
    sender: str
    processor: float = 0.0


def load(
    url: str,
    content: bytes,
    connections: int,
    seconds: float,
    headers: Mapping[str, str] | None = None,
) -> Load:
    """POST the same JSON over so many connections for so long, as fast as it is answered.

    Further `headers` and https need wrk.
    """
    if shutil.which("wrk"):
        return _wrk(url, content, connections, seconds, headers or {})
    assert not headers and url.startswith("http:"), "wrk is not installed"
    return asyncio.run(Sender(url, content).run(connections, seconds))


def _wrk(
    url: str, content: bytes, connections: int, seconds: float, headers: Mapping[str, str]
) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        body = "".join(f"\\{byte:03d}" for byte in content)
        script.write('wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\n')
        script.write(f'wrk.body="{body}"\n')
        script.writelines(f'wrk.headers["{name}"]="{text}"\n' for name, text in headers.items())
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "--timeout"]
        out = subprocess.run(
            [*command, "30s", "-s", script.name, url], capture_output=True, text=True, check=True
        ).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out)
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    assert rate and slowest, out
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: .*", out)
    failed = (int(wrong[1]) if wrong else 0) + (1 if errors else 0)
    return Load(float(rate[1]), float(slowest[1]) * _UNITS[slowest[2]], failed, "wrk")


@dataclass
class Sender:
    """Sends from Python: `per_second` requests over all connections, or as fast as possible."""

    url: str
    content: bytes
    per_second: float | None = None
    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    async def run(self, connections: int, seconds: float) -> Load:
        """Send over so many connections for so long."""
        until = time.perf_counter() + seconds
        pause = connections / self.per_second if self.per_second else 0.0
        await asyncio.gather(*(self._send_on(until, pause) for _ in range(connections)))
        ordered = sorted(self.latencies)
        p99 = ordered[int(len(ordered) * 0.99)] if ordered else 0.0
        return Load(len(ordered) / seconds, p99, self.failed, "Python")

    async def _send_on(self, until: float, pause: float) -> None:
        parts = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(self.content)}\r\n\r\n"
        request = head.encode() + self.content
        following = time.perf_counter()
        while (began := time.perf_counter()) < until:
            writer.write(request)
            self.failed += not (await _answer(reader)).startswith(b"2")
            self.latencies.append(time.perf_counter() - began)
            following += pause
            await asyncio.sleep(max(0.0, following - time.perf_counter()) if pause else 0)
        writer.close()
        await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Read one whole answer; returns its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    assert length is not None
    await reader.readexactly(int(length[1]))
    return head.split(b" ", 2)[1]
