"""One event is one line, whatever it holds."""

import logging
import re
from collections.abc import Iterator

import pytest

from core.logs import configure


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_line_has_utc_time_level_service_and_facts(capsys: pytest.CaptureFixture[str]) -> None:
    configure("producer")
    logging.getLogger("data_ingestion").info("published count=%d", 100)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO producer published count=100\n",
        capsys.readouterr().err,
    )


def test_a_traceback_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("producer")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("data_ingestion").exception("failed")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "ValueError: two\\nlines" in lines[0]


def test_libraries_only_warn(capsys: pytest.CaptureFixture[str]) -> None:
    configure("producer")
    logging.getLogger("kafka.client").info("chatter")
    logging.getLogger("kafka.client").warning("trouble")
    assert "chatter" not in (err := capsys.readouterr().err)
    assert "trouble" in err


def test_the_level_is_a_setting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    configure("producer")
    logging.getLogger("model").warning("quiet")
    assert not capsys.readouterr().err
