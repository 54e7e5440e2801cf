"""The recipes of docs/api.md, run as they stand there against a service."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application
from tests.support.api_process import served
from tests.support.scored_lake import append_scored, scored_row

from api import flag_feed, row_query
from core.settings import ROOT, ApiSettings

TEXT = (ROOT / "docs" / "api.md").read_text()
PAGES, TABLE, STREAM = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
HASHES = [f"{number:064x}" for number in range(3)]


@pytest.fixture
def url(lake: str, tmp_path: Path) -> Iterator[str]:
    append_scored(lake, [scored_row(hash, timedelta(minutes=9), 0.9) for hash in HASHES])
    settings = ApiSettings(_env_file=None, api_stream_seconds=0.3)
    with served(application(FixedFollower(), settings, lake), tmp_path / "log") as url:
        yield url


def run(recipe: str, url: str) -> dict[str, Any]:
    names: dict[str, Any] = {"API": url}
    exec(recipe, names)  # the page's own text
    return names


def test_all_pages_are_read(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(PAGES.replace("1000", "2"), url)
    assert capsys.readouterr().out.split() == HASHES


def test_a_file_becomes_a_table(url: str) -> None:
    assert run(TABLE, url)["rows"]["hash"].tolist() == HASHES


def test_a_stream_is_continued(url: str, lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = STREAM.replace("while True", "for _ in range(1)")
    last = run(recipe.replace('last = ""', f'last = "1-{HASHES[0]}-0-"'), url)["last"]
    assert capsys.readouterr().out.count('"transaction_hash"') == 3
    append_scored(lake, [scored_row("ab" * 32, timedelta(minutes=1), 0.9)])
    assert run(recipe.replace('last = ""', f'last = "{last}"'), url)["last"].endswith(
        "ab" * 32 + "-0-"
    )


@pytest.mark.parametrize("command", re.findall(r"^    curl .*'(localhost.*)'$", TEXT, re.MULTILINE))
def test_what_curl_asks_for_is_answered(url: str, command: str) -> None:
    address = command.replace("localhost:5001", url)
    assert requests.get(address, timeout=30).status_code == 200


def test_every_filter_and_limit_is_named() -> None:
    named = set(re.findall(r"`(\w+)`", TEXT))
    asked = set(row_query.TransactionQuery.model_fields)
    assert asked <= named, asked - named
    assert f"{row_query.MAX_DOWNLOAD:,}" in TEXT and f"{flag_feed.KEPT_EVENTS:,}" in TEXT


def test_the_document_has_every_form_and_status(lake: str) -> None:
    paths = TestClient(application(FixedFollower(), lake=lake)).get("/openapi.json").json()["paths"]
    for path in ("/anomalies", "/transactions"):
        answers = paths[path]["get"]["responses"]
        forms = {"application/json", "text/csv", "application/vnd.apache.parquet"}
        assert set(answers["200"]["content"]) == forms
        assert set(answers) == {"200", "401", "403", "422", "500", "503"}
        assert "Link" in answers["200"]["headers"]
    answers = paths["/anomalies/stream"]["get"]["responses"]
    assert set(answers["200"]["content"]) == {"text/event-stream"}
    assert set(answers) == {"200", "401", "403", "422", "500", "503"}
