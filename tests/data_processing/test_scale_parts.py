"""A part of the scale stack is killed under load, again and again: nothing is lost or doubled.

The parts of docker-compose.scale.yml that a record passes, as processes on this machine: three
brokers, the stream on two workers, the lake on an object store. tests/docker/test_scale.py kills
them in Docker.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.scale_parts import ScaleParts, scale_parts
from tests.support.stream_processes import QUICK_JAVA, Load, StreamProcess, values, wait_for

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.stack, pytest.mark.soak, pytest.mark.timeout(1_800)]

KILLS = 5
A_SECOND = 200
LOOK_SECONDS = 2.0
"""Between two looks at the lake, which take the processor from what is looked at."""


@dataclass(frozen=True)
class ScaleStack:
    """The parts, a stream on them, and what is published."""

    parts: ScaleParts
    stream: StreamProcess
    load: Load

    def kill(self, name: str) -> None:
        """Kill a broker, a worker or the store, and start it again as Docker does."""
        killed = self.parts.killable[name]
        killed.kill()
        killed.start()

    def scored(self) -> set[object]:
        """The hashes in the lake; none while the store does not answer."""
        try:
            return set(values(self.parts.lake, "scored_transactions", "hash"))
        except OSError:
            return set()

    def wait(self, reached: Callable[[], bool], what: str) -> None:
        def going_on() -> bool:
            self.stream.keep_alive()
            return reached()

        wait_for(going_on, what, every=LOOK_SECONDS)

    def wait_scored(self) -> None:
        """Wait until all that was published by now is scored."""
        published = set(self.load.sent)
        self.wait(lambda: published <= self.scored(), "what was published")


@pytest.fixture
def stack(java: None, tmp_path: Path) -> Iterator[ScaleStack]:
    with scale_parts(tmp_path) as parts:
        servers, log_file = parts.brokers.servers, tmp_path / "stream.log"
        stream = StreamProcess(tmp_path / "data", servers, log_file, QUICK_JAVA | parts.settings)
        load = Load(servers, A_SECOND)
        stream.start()
        load.start()
        try:
            yield ScaleStack(parts, stream, load)
        finally:
            load.stop()
            stream.kill()


@pytest.mark.parametrize("part", ["broker", "worker", "store"])
def test_nothing_is_lost_or_doubled_when_a_part_is_killed(stack: ScaleStack, part: str) -> None:
    stack.wait(lambda: bool(stack.scored()), "the first rows")
    stack.wait_scored()
    for _ in range(KILLS):
        begun = time.monotonic()
        stack.kill(part)
        published = len(stack.load.sent) + A_SECOND
        stack.wait(lambda least=published: len(stack.load.sent) > least, "records")  # type: ignore[misc]
        stack.wait_scored()
        log.info("%s: all scored again after %.0f s", part, time.monotonic() - begun)
    stack.load.stop()
    stack.wait_scored()
    raw, scored = (
        values(stack.parts.lake, f"{name}_transactions", "hash") for name in ("raw", "scored")
    )
    assert set(raw) == set(scored)
    assert set(raw.values()) == set(scored.values()) == {1}
    bad = values(stack.parts.lake, "quarantine", "value")
    assert stack.load.garbage <= set(bad)
    assert set(bad.values()) == {1}
    log.info("%s: %d rows, each once", part, len(raw))
