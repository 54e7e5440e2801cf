"""The optional API key: whoever does not send it gets 401."""

import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import problem

HEADER = "X-API-Key"
OPEN_PREFIXES = ("/health", "/ready", "/metrics", "/docs", "/openapi.json")
"""Paths that answer without the key: probes, scrapes and the documentation."""

_NAME = HEADER.lower().encode()


class Key:
    """Lets through whoever sends the key; the comparison takes the same time for any other."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app, self.key = app, key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401."""
        if scope["type"] == "http" and not (is_open(scope["path"]) or self._is_sent(scope)):
            wanted = {"WWW-Authenticate": f'ApiKey header="{HEADER}"'}
            sentence = f"Send the service's key in the header {HEADER}."
            await problem(scope, 401, sentence, headers=wanted)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_sent(self, scope: Scope) -> bool:
        sent = next((value for name, value in scope["headers"] if name == _NAME), b"")
        return hmac.compare_digest(sent, self.key)


def is_open(path: str) -> bool:
    """Whether a path answers without the key."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in OPEN_PREFIXES)
