import asyncio
import json
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message
from tests.api.calling import Answer, Call, ask
from tests.api.conftest import EXAMPLE, Following, application

from core.detector.champion import Champion
from core.settings import ApiSettings

GOOD = Call(body=[json.dumps(EXAMPLE).encode()])


def limited(champion: Champion, **limits: Any) -> FastAPI:
    return application(Following(champion), ApiSettings(_env_file=None, **limits))


class Slow:
    """A caller that announces a body and never sends it."""

    def __init__(self, app: ASGIApp) -> None:
        self.under_way = asyncio.Event()
        self.answer = asyncio.create_task(ask(self._stall(app), Call()))

    def _stall(self, app: ASGIApp) -> ASGIApp:
        async def receive() -> Message:
            self.under_way.set()
            await asyncio.Event().wait()
            raise AssertionError("never comes")

        return lambda scope, _, send: app(scope, receive, send)


def test_one_request_too_many_is_told_to_come_back_and_probes_are_answered(
    champion: Champion,
) -> None:
    async def run() -> tuple[Answer, Answer]:
        app = limited(champion, api_max_requests=2)
        slow = [Slow(app), Slow(app)]
        for each in slow:
            await each.under_way.wait()
        refused = await ask(app, GOOD)
        probe = await ask(app, Call("/health", method="GET"))
        for each in slow:
            each.answer.cancel()
        await asyncio.gather(*(each.answer for each in slow), return_exceptions=True)
        assert (await ask(app, GOOD)).status == 200
        return refused, probe

    refused, probe = asyncio.run(run())
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["detail"] == "2 requests are under way already: try again shortly."
    assert probe.status == 200


def test_a_request_that_takes_too_long_is_ended_with_503(champion: Champion) -> None:
    async def run() -> Answer:
        app = limited(champion, api_request_seconds=0.2)
        async with app.router.lifespan_context(app):
            slow = Slow(app)
            return await asyncio.wait_for(slow.answer, 20)

    answer = asyncio.run(run())
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["detail"] == "The request took longer than the limit of 0.2 s."


def test_a_server_that_stops_may_cancel_without_an_answer(champion: Champion) -> None:
    async def run() -> bool:
        slow = Slow(limited(champion))
        await slow.under_way.wait()
        slow.answer.cancel()
        await asyncio.gather(slow.answer, return_exceptions=True)
        return slow.answer.cancelled()

    assert asyncio.run(run())


def test_what_is_within_the_time_is_left_alone(champion: Champion) -> None:
    async def run() -> int:
        app = limited(champion, api_request_seconds=60)
        async with app.router.lifespan_context(app):
            slow = Slow(app)
            await asyncio.sleep(1.3)  # a sweep has passed
            ended = slow.answer.done()
            slow.answer.cancel()
            return ended

    assert not asyncio.run(run())
