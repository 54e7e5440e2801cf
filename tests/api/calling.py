"""Call an application without a socket: thousands of requests in a second."""

import asyncio
import json
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
    """One request; its body arrives in the given parts, and `unfinished` leaves after them."""

    path: str = "/predict"
    body: list[bytes] = field(default_factory=list)
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    unfinished: bool = False


async def ask(app: ASGIApp, call: Call) -> Answer:
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

    await app(_scope(call), receive, send)
    return answer


def _scope(call: Call) -> dict[str, Any]:
    return {
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


def ask_all(app: ASGIApp, calls: Iterable[Call]) -> list[Answer]:
    async def run() -> list[Answer]:
        return [await ask(app, call) for call in calls]

    return asyncio.run(run())
