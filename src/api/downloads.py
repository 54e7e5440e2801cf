"""Answers in parts: how many there may be at one time, and how long each of them may take."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

from fastapi import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.lake_reads import LakeReads
from api.middleware import AnswerCutError, RequestsInFlight

MOST_DOWNLOADS = 2
"""At one time in one process; a further one is answered 503."""

DOWNLOAD_SECONDS = 600
"""The longest time for one of them."""


class PartedResponse(StreamingResponse):
    """A streamed answer that calls `release` at its end, however that comes."""

    def __init__(
        self,
        parts: AsyncIterator[bytes],
        release: Callable[[], None],
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(parts, headers=headers, media_type=media_type)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._release()


class Downloads:
    """Starts downloads; their parts are read one by one, so that other reads come between."""

    def __init__(self, reads: LakeReads, in_flight: RequestsInFlight) -> None:
        self._reads, self._in_flight = reads, in_flight
        self._under_way = 0

    async def start(
        self,
        read: Callable[[], tuple[Iterator[bytes], dict[str, str]]],
        media_type: str,
    ) -> PartedResponse:
        """An answer of the parts and headers that `read` gives, which reads the lake.

        Raises `HTTPException` 503 when too many are under way, or the lake cannot be read.
        """
        if self._under_way >= MOST_DOWNLOADS:
            detail = f"{MOST_DOWNLOADS} downloads are under way already: try again shortly."
            raise HTTPException(503, detail)
        self._under_way += 1
        try:
            parts, headers = await self._reads.run(read)
            first = await self._reads.run(next, parts, b"")
        except BaseException:
            self._release()
            raise
        body = self._body(first, parts, self._in_flight.begin_stream())
        return PartedResponse(body, self._release, headers, media_type)

    async def _body(
        self, first: bytes, parts: Iterator[bytes], taken: Callable[[], None]
    ) -> AsyncIterator[bytes]:
        """The parts; one that cannot be read ends the answer without its proper end."""
        deadline = time.monotonic() + DOWNLOAD_SECONDS
        part: bytes | None = first
        while part is not None:
            yield part
            taken()
            if time.monotonic() > deadline:
                raise AnswerCutError(f"The download took longer than {DOWNLOAD_SECONDS} s.")
            part = await self._next(parts)

    async def _next(self, parts: Iterator[bytes]) -> bytes | None:
        try:
            return await self._reads.run(next, parts, None)
        except HTTPException as error:  # too late for a status
            raise AnswerCutError(error.detail) from error

    def _release(self) -> None:
        self._under_way -= 1
