"""Call an ASGI application without a socket: thousands of requests in a second."""

import asyncio
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message

JSON = {"content-type": "application/json"}


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""

    def json(self) -> Any:
        return json.loads(self.content)


@dataclass
class Call:
    """One request; its body arrives in the given parts.

    With `unfinished` the caller leaves after them, before the body is complete.
    """

    path: str = "/predict"
    body: list[bytes] = field(default_factory=list)
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    unfinished: bool = False


async def send_call(app: ASGIApp, call: Call) -> Answer:
    answer, parts = Answer(), list(call.body) or [b""]

    async def receive() -> Message:
        if not parts:
            return {"type": "http.disconnect"}
        return {
            "type": "http.request",
            "body": parts.pop(0),
            "more_body": call.unfinished or bool(parts),
        }

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            answer.content += message.get("body", b"")

    scope = {
        "type": "http",
        "method": call.method,
        "path": call.path,
        "raw_path": call.path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(k.encode(), v.encode()) for k, v in call.headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }
    await app(scope, receive, send)
    return answer


def send_calls(app: ASGIApp, calls: Iterable[Call]) -> list[Answer]:
    async def run() -> list[Answer]:
        return [await send_call(app, call) for call in calls]

    return asyncio.run(run())


def mutated(rng: random.Random, content: bytes) -> bytes:
    """The body with some bytes changed, dropped, doubled or replaced by something harmful."""
    harmful = [b"NaN", b"-0", b"1e999", b"\xff", b"\x00", b'"', b"{", b"]", b"null", b"\\u0000"]
    body = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(body) + 1)
        choice = rng.randrange(4)
        if choice == 0:
            body[at : at + rng.randint(1, 9)] = b""
        elif choice == 1:
            body[at:at] = rng.choice(harmful)
        elif choice == 2:
            body[at : at + 1] = bytes([rng.randrange(256)])
        else:
            body[at:at] = body[at : at + rng.randint(1, 40)]
    return bytes(body)
