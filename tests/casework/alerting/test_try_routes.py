"""The command that tries every route of the file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.http_receiver import HttpReceiver

from casework.alerting.try_routes import try_routes
from core.settings import AlertSettings


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver().start()
    yield receiver
    receiver.stop()


def tried(file: Path) -> tuple[bool, list[str]]:
    lines: list[str] = []
    return try_routes(AlertSettings(alerts_file=file), lines.append), lines


def test_every_receiver_gets_one_and_each_failure_is_named(
    tmp_path: Path, receiver: HttpReceiver
) -> None:
    file = tmp_path / "alerts.yml"
    good = f'{{name: good, to: ["json://{receiver.address}/"], from: never}}'
    secret = "0123456789abcdef"
    signed = f"{{name: signed, webhook: {{url: 'http://{receiver.address}/', secret: {secret}}}}}"
    file.write_text(f"routes:\n  - {good}\n  - {signed}\n")
    assert tried(file) == (True, ["good, receiver 1: accepted", "signed, receiver 1: accepted"])
    assert [body.get("title") for body in receiver.bodies()] == [
        "[test] The route good works",
        "[test] The route signed works",
    ]
    file.write_text(file.read_text() + '  - {name: dead, to: ["json://localhost:1/hidden"]}\n')
    well, lines = tried(file)
    assert not well and lines[2].startswith("dead, receiver 1: FAILED: ")
    assert "hidden" not in lines[2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "copy alerts.example.yml"),
        ("routes: []\n", "has no routes"),
        ("routes:\n  - name: a\n", "line 2: routes.0: needs either to"),
    ],
)
def test_a_file_without_usable_routes_is_a_failure(
    tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "alerts.yml"
    if text is not None:
        file.write_text(text)
    well, lines = tried(file)
    assert not well and told in lines[0]
