import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from deltalake.exceptions import DeltaError
from fastapi import HTTPException
from starlette.types import Message
from tests.support.api_application import FixedFollower, application
from tests.support.api_process import served
from tests.support.scored_lake import ROWS, append_scored

from api import downloads
from api.downloads import MOST_DOWNLOADS, Downloads, PartedResponse
from api.lake_reads import LakeReads
from api.middleware import AnswerCutError, RequestsInFlight


def breaking() -> Iterator[bytes]:
    yield b"one"
    raise DeltaError("a file is missing")


async def started(under_way: Downloads, parts: Iterator[bytes]) -> PartedResponse:
    return await under_way.start(lambda: (parts, {"Link": "<next>"}), "text/csv")


async def sent(response: PartedResponse, fails: bool = False) -> bytes:
    body = b""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("never comes")

    async def send(message: Message) -> None:
        nonlocal body
        body += message.get("body", b"")
        if fails and body:
            raise OSError("the client left")

    scope = {"type": "http", "asgi": {"spec_version": "2.3"}, "method": "GET"}
    await response(scope, receive, send)
    return body


def new() -> Downloads:
    return Downloads(LakeReads("test"), RequestsInFlight())


def test_the_parts_are_sent_in_order() -> None:
    async def run() -> tuple[bytes, str]:
        response = await started(new(), iter([b"one", b"two", b"three"]))
        return await sent(response), response.headers["link"]

    assert asyncio.run(run()) == (b"onetwothree", "<next>")


def test_however_a_download_ends_another_may_start() -> None:
    async def run() -> None:
        under_way = new()
        for _ in range(MOST_DOWNLOADS + 1):
            await sent(await started(under_way, iter([b"whole"])))
            with pytest.raises(OSError):
                await sent(await started(under_way, iter([b"part"] * 9)), fails=True)
            with pytest.raises(AnswerCutError, match="cannot be read"):
                await sent(await started(under_way, breaking()))
            cancelled = asyncio.create_task(sent(await started(under_way, iter([b"a"] * 10**6))))
            await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
        for _ in range(MOST_DOWNLOADS):
            await started(under_way, iter([b"held"]))
        with pytest.raises(HTTPException) as refused:
            await started(under_way, iter([b"one too many"]))
        assert refused.value.status_code == 503

    asyncio.run(run())


def test_a_download_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "DOWNLOAD_SECONDS", -1)

    async def run() -> None:
        with pytest.raises(AnswerCutError, match="longer than"):
            await sent(await started(new(), iter([b"one", b"two"])))

    asyncio.run(run())


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_download_that_cannot_be_continued_breaks(
    lake: str, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_scored(lake, ROWS)
    monkeypatch.setattr("api.routes.scored_lists.ROWS_AT_ONCE", 2)
    monkeypatch.setattr("api.routes.scored_lists.csv_parts", lambda _: breaking())
    monkeypatch.setattr("api.routes.scored_lists.parquet_parts", lambda _: breaking())
    with served(application(FixedFollower(), lake=lake), tmp_path / "log") as url:
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(f"{url}/transactions", params={"format": form}, timeout=30)
        assert requests.get(f"{url}/transactions", timeout=30).status_code == 200
