"""Limits what a slow or endless client can hold: headers, an unread answer, a body without end.

uvicorn limits neither the size of a request's head (request line and headers) nor the time that it
takes. After an answer that came before the end of the body, it reads the rest without limit.
`RequestsInFlight` in `api/middleware.py` limits the time from the end of the head to the answer.
"""

import asyncio
import socket

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""The largest head; the limit of h11, uvicorn's other parser."""

MAX_WAIT_SECONDS = 10.0
"""The longest wait for a whole head, and for the rest of a body after its answer."""

MAX_UNREAD_SECONDS = 60.0
"""A connection is closed when its client takes nothing of what was sent for so long."""

CLOSING = "closing"
"""In the state of the application's lifespan: an event that is set when the server closes."""


class BoundedConnection(HttpToolsProtocol):
    """Closes a connection whose head is too large, or whose head or last body takes too long."""

    _in_head = True  # a new connection waits for its first head
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first head, and the limit for an unread answer."""
        super().connection_made(transport)
        opened = transport.get_extra_info("socket")
        if opened is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # of Linux
            milliseconds = int(MAX_UNREAD_SECONDS * 1000)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        self._watch()

    def shutdown(self) -> None:
        """Say that the server closes, so that answers without an end come to one."""
        closing = self.app_state.get(CLOSING)
        if closing is not None:
            closing.set()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timer."""
        super().connection_lost(exc)
        self._end_timer()

    def on_message_begin(self) -> None:
        """Note that a head begins; called by the parser."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head has ended; called by the parser."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Pass data to the parser; close the connection where the head grows too large."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"The headers are over {MAX_HEAD_BYTES:,} bytes.")
        self._watch()

    def on_response_complete(self) -> None:
        """Start the timer for the rest of a body that was answered before its end."""
        super().on_response_complete()
        if self.cycle.more_body:
            self._watch()

    def _watch(self) -> None:
        """Run the timer while the connection waits for a head, or for the rest of a body."""
        cycle = self.cycle
        if self._in_head or (cycle is not None and cycle.response_complete and cycle.more_body):
            if self._timer is None:
                self._timer = self.loop.call_later(MAX_WAIT_SECONDS, self.transport.close)
        elif self._timer is not None:
            self._end_timer()

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
