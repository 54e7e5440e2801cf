import csv
import io
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pandas as pd
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application
from tests.support.delta_tables import cut_off_checkpoint
from tests.support.scored_lake import NOW, append_scored, scored_row
from tests.support.scored_rows import PATTERN_NAMES, Row, newest_first, passes, varied_row

from api import downloads
from api.routes import scored_lists
from api.row_formats import csv_parts
from api.row_query import MAX_PAGE
from core.detector.patterns import PATTERNS
from core.tables import SCORED_TRANSACTIONS

HASH = "{:064x}".format


class Lists:
    """A lake whose rows are known, and the service that lists them."""

    def __init__(self, lake: str) -> None:
        self.lake, self.rng = lake, random.Random(7)
        self.rows: list[Row] = []
        self.append(60)
        self.client = TestClient(application(FixedFollower(), lake=lake))

    def append(self, count: int, hours: float = 100) -> None:
        new = [varied_row(self.rng, hours) for _ in range(count)]
        append_scored(self.lake, new)
        self.rows += new

    def compact(self) -> None:
        DeltaTable(f"{self.lake}/scored_transactions").optimize.compact()

    def matching(self, path: str, asked: dict[str, str]) -> list[Row]:
        flagged = path == "/anomalies" or "flagged_by" in asked or asked.get("flagged") == "1"
        return [row for row in self.rows if passes(row, asked, flagged)]

    def walk(
        self, path: str, asked: dict[str, str], limit: int, between: Callable[[], None]
    ) -> list[dict[str, Any]]:
        """Every row of every page; something happens between two pages."""
        rows: list[dict[str, Any]] = []
        parameters = asked | {"limit": str(limit)}
        while True:
            answer = self.client.get(path, params=parameters)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            rows += page[path.strip("/")]
            if page["next"] is None:
                return rows
            assert len(page[path.strip("/")]) == limit
            parameters["cursor"] = page["next"]
            between()


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Lists:
    return Lists(str(tmp_path_factory.mktemp("lists") / "lake"))


def hashes(rows: list[dict[str, Any]]) -> list[str]:
    return [row["transaction_hash"] for row in rows]


def amounts(least: float, most: float) -> st.SearchStrategy[str]:
    return st.decimals(str(least), str(most), places=2).map(str)


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "start": st.sampled_from([20, 50, 90]).map(
            lambda hours: (NOW - timedelta(hours=hours)).isoformat()
        ),
        "end": st.sampled_from([0.05, 3, 10]).map(
            lambda hours: (NOW - timedelta(hours=hours)).isoformat()
        ),
        "threshold": st.sampled_from(["0.3", "0.6", "0.65", "0.95"]),
        "score_min": st.sampled_from(["0.3", "0.45", "0.6"]),
        "score_max": st.sampled_from(["0.6", "0.7", "1"]),
        "margin_min": st.sampled_from(["-0.2", "0", "0.05"]),
        "value_min": st.sampled_from(["0", "0.000001", "0.29"]),
        "value_max": st.sampled_from(["0.29", "1", "60"]),
        "fee_rate_min": amounts(0, 4),
        "fee_rate_max": amounts(4, 40),
        "times_min": amounts(0, 1),
        "times_max": amounts(1, 30),
        "inputs_min": st.integers(0, 2).map(str),
        "inputs_max": st.integers(2, 5).map(str),
        "outputs_min": st.integers(0, 2).map(str),
        "outputs_max": st.integers(2, 5).map(str),
        "pattern": st.lists(
            st.sampled_from([*PATTERN_NAMES, "none"]), min_size=1, max_size=3, unique=True
        ).map(",".join),
        "flagged_by": st.lists(
            st.sampled_from(["model", "rule", "both"]), min_size=1, unique=True
        ).map(",".join),
        "hash": st.text("0123456789abcdefABCDEF", min_size=1, max_size=1),
        "model_version": st.sampled_from(["2", "3", "rules"]),
        "source": st.sampled_from(["mempool", "block"]),
        "coinbase": st.sampled_from(["true", "false"]),
    },
)
FEW_FILTERS = FILTERS.flatmap(
    lambda asked: (
        st.sets(st.sampled_from(sorted(asked)), max_size=3).map(
            lambda names: {name: asked[name] for name in names}
        )
        if asked
        else st.just({})
    )
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    asked=FEW_FILTERS | FILTERS,
    path=st.sampled_from(["/anomalies", "/transactions"]),
    limit=st.integers(4, 30),
)
def test_all_pages_have_what_the_table_has_once_while_rows_arrive(
    lists: Lists, asked: dict[str, str], path: str, limit: int
) -> None:
    existed = lists.matching(path, asked)
    arrivals = iter(range(2))
    listed = lists.walk(
        path, asked, limit, lambda: lists.append(2) if next(arrivals, None) is not None else None
    )
    assert len(set(hashes(listed))) == len(listed), "no row comes twice"
    assert set(hashes(listed)) >= {row["hash"] for row in existed}, "none is skipped"
    lists.compact()
    after = {row["hash"]: row for row in lists.matching(path, asked)}
    assert hashes(listed) == newest_first([after[hash] for hash in hashes(listed)])


def test_pages_are_equal_to_one_list(lists: Lists) -> None:
    one = lists.client.get("/transactions", params={"limit": "1000"}).json()
    pages = lists.walk("/transactions", {}, 7, lambda: None)
    assert one["next"] is None
    assert pages == one["transactions"]
    assert hashes(pages) == newest_first(lists.rows)


def test_the_link_leads_to_the_next_page_with_the_same_filters(lists: Lists) -> None:
    answer = lists.client.get("/anomalies?flagged_by=model,both&limit=2&value_min=0.000001")
    link = answer.headers["link"].split(">")[0].removeprefix("<")
    following = lists.client.get(urljoin(str(answer.url), link))
    assert following.status_code == 200
    assert not set(hashes(following.json()["anomalies"])) & set(hashes(answer.json()["anomalies"]))


def test_a_range_that_ends_now_does_not_move_between_pages(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lists.client.get("/transactions", params={"range": "6h", "limit": "1"}).json()
    inside = {r["hash"] for r in lists.rows if r["event_time"] >= NOW - timedelta(hours=5)}

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=6)

    monkeypatch.setattr("api.routes.scored_lists.datetime", Later)
    following = {"range": "6h", "limit": "1000", "cursor": first["next"]}
    rest = lists.client.get("/transactions", params=following).json()["transactions"]
    assert {*hashes(rest), *hashes(first["transactions"])} >= inside


@pytest.mark.parametrize("path", ["/anomalies", "/transactions"])
def test_a_lake_without_the_table_has_an_empty_list(lake: str, path: str) -> None:
    client = TestClient(application(FixedFollower(), lake=lake))
    assert client.get(path).json() == {path.strip("/"): [], "next": None}
    assert client.get(path, params={"format": "csv"}).text.startswith("hash,size,")
    table = client.get(path, params={"format": "parquet"}).content
    assert pq.read_table(io.BytesIO(table)).num_rows == 0


def test_a_table_of_an_earlier_release_is_listed(lake: str) -> None:
    new = {"flagged_by", "market_fee_rate", "patterns", "package_fee_rate", "replaced_fee"}
    earlier = [field for field in SCORED_TRANSACTIONS if field.name not in new]
    row = scored_row(HASH(1), timedelta(minutes=1), 0.9) | {"pattern": "fee_overpaid"}
    append_scored(
        lake,
        [row],
        schema=SCORED_TRANSACTIONS.empty_table().select([field.name for field in earlier]).schema,
    )
    client = TestClient(application(FixedFollower(), lake=lake))
    for asked in ({}, {"pattern": "fee_overpaid", "flagged_by": "model", "threshold": "0.5"}):
        (anomaly,) = client.get("/anomalies", params=asked).json()["anomalies"]
        assert anomaly["patterns"] == ["fee_overpaid"]
        assert (anomaly["flagged_by"], anomaly["times_market"]) == ("model", None)
    for form in ("csv", "parquet"):
        assert client.get("/anomalies", params={"format": form}).status_code == 200


def test_csv_and_parquet_have_the_rows_of_json(lists: Lists) -> None:
    asked = {"flagged": "1", "coinbase": "false"}
    rows = lists.client.get("/transactions", params=asked | {"limit": "1000"}).json()
    wanted = hashes(rows["transactions"])
    answer = lists.client.get("/transactions", params=asked | {"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["hash"] for line in lines] == wanted
    for line, row in zip(lines, rows["transactions"], strict=True):
        assert int(line["fee"]) == row["fee"]
        assert float(line["anomaly_score"]) == row["anomaly_score"]
        assert line["patterns"].split() == row["patterns"]
    accept = {"accept": "application/vnd.apache.parquet"}
    answer = lists.client.get("/transactions", params=asked, headers=accept)
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = pd.read_parquet(io.BytesIO(answer.content))
    assert table["hash"].tolist() == wanted
    assert table["fee"].tolist() == [row["fee"] for row in rows["transactions"]]


def test_a_download_is_in_parts_and_can_be_continued(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scored_lists, "ROWS_AT_ONCE", 3)
    got, address = list[str](), "/transactions?format=parquet&limit=50"
    while address:
        answer = lists.client.get(address)
        table = pq.ParquetFile(io.BytesIO(answer.content))
        assert table.metadata.num_row_groups == -(-table.metadata.num_rows // 3)
        got += table.read()["hash"].to_pylist()
        address = answer.headers.get("link", "").split(">")[0].removeprefix("<")
    assert got == newest_first(lists.rows)


def test_a_download_is_of_one_version_of_the_table(
    lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = Lists(lake)
    before = newest_first(lists.rows)

    def meanwhile(tables: Any) -> Any:
        for part in csv_parts(tables):
            yield part
            lists.append(1, hours=1)

    monkeypatch.setattr(scored_lists, "ROWS_AT_ONCE", 50)
    monkeypatch.setattr("api.routes.scored_lists.csv_parts", meanwhile)
    text = lists.client.get("/transactions", params={"format": "csv"}).text
    assert [line["hash"] for line in csv.DictReader(io.StringIO(text))] == before
    assert len(lists.rows) > len(before)


def test_a_cell_that_would_be_a_formula_is_text(lake: str) -> None:
    row = scored_row(HASH(1), timedelta(minutes=1), 0.9) | {"pattern": "=1+2", "fee_rate": -4.0}
    append_scored(lake, [row | {"patterns": ["=1+2"], "model_version": "@SUM(A1)"}])
    client = TestClient(application(FixedFollower(), lake=lake))
    (line,) = csv.DictReader(io.StringIO(client.get("/anomalies?format=csv").text))
    assert (line["patterns"], line["model_version"]) == ("'=1+2", "'@SUM(A1)")
    assert float(line["fee_rate"]) == -4.0


def test_a_threshold_of_ones_own_flags_as_if_it_had_applied(lists: Lists) -> None:
    asked = {"threshold": "0.3", "coinbase": "false", "limit": "1000"}
    rows = lists.client.get("/anomalies", params=asked).json()["anomalies"]
    assert {row["threshold"] for row in rows} == {0.3}
    assert all(row["is_anomaly"] for row in rows)
    assert min(row["anomaly_score"] for row in rows if row["flagged_by"] == "model") == 0.45


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "100001"}, "limit"),
        ({"format": "xml"}, "format"),
        ({"cursor": "a" * 600}, "cursor"),
        ({"cursor": "no cursor"}, "cursor"),
        ({"cursor": "bm90IGEgY3Vyc29y"}, "cursor"),
        ({"start": "yesterday"}, "start"),
        ({"start": "1700000000"}, "start"),
        ({"range": "1y"}, "range"),
        ({"value_min": "nan"}, "value_min"),
        ({"value_max": "21000001"}, "value_max"),
        ({"fee_rate_min": "inf"}, "fee_rate_min"),
        ({"pattern": "' OR 1=1"}, "pattern"),
        ({"flagged_by": "me"}, "flagged_by"),
        ({"hash": "xyz"}, "hash"),
        ({"model_version": "'"}, "model_version"),
        ({"source": "elsewhere"}, "source"),
        ({"flaged": "1"}, "flaged"),
        ({"value_min": "2", "value_max": "1"}, ""),
        ({"range": "1h", "start": "2026-01-01T00:00:00Z"}, ""),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, ""),
    ],
)
def test_a_wrong_parameter_is_a_named_problem(
    lists: Lists, asked: dict[str, str], field: str
) -> None:
    answer = lists.client.get("/transactions", params=asked)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [each["field"] for each in answer.json()["errors"]] == [field]


def test_all_patterns_can_be_asked_for_at_once(lists: Lists) -> None:
    every = ",".join([*(pattern.name for pattern in PATTERNS), "none"])
    asked = lists.client.get("/transactions", params={"pattern": every})
    assert asked.status_code == 200
    assert asked.json() == lists.client.get("/transactions").json() | {"next": asked.json()["next"]}


def test_a_page_in_json_has_its_own_limit(lists: Lists) -> None:
    answer = lists.client.get("/transactions", params={"limit": str(MAX_PAGE + 1)})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "limit")


def test_a_cursor_is_of_its_list_and_its_filters(lists: Lists) -> None:
    cursor = lists.client.get("/transactions", params={"limit": "1"}).json()["next"]
    for path, asked in (("/anomalies", {}), ("/transactions", {"source": "block"})):
        answer = lists.client.get(path, params=asked | {"cursor": cursor})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")
    other_size = lists.client.get("/transactions", params={"limit": "9", "cursor": cursor})
    assert other_size.status_code == 200


def test_too_many_downloads_at_once_are_refused(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MOST_DOWNLOADS", 0)
    answer = lists.client.get("/transactions", params={"format": "csv"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "downloads are under way" in answer.json()["detail"]


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_a_damaged_lake_is_answered_with_503_and_no_download_stays_under_way(
    lake: str, form: str
) -> None:
    append_scored(lake, [scored_row(HASH(1), timedelta(minutes=1), 0.9)])
    client = TestClient(application(FixedFollower(), lake=lake))
    assert client.get("/anomalies", params={"format": form}).status_code == 200
    for file in Path(lake).rglob("*.parquet"):
        file.write_bytes(b"")
    for _ in range(downloads.MOST_DOWNLOADS + 1):
        answer = client.get("/anomalies", params={"format": form})
        assert (answer.status_code, answer.json()["detail"]) == (
            503,
            "The lake cannot be read just now.",
        )


def test_a_damaged_log_is_answered_with_the_remedy(lake: str) -> None:
    append_scored(lake, [scored_row(HASH(1), timedelta(minutes=1), 0.9)])
    cut_off_checkpoint(Path(lake, "scored_transactions"))
    answer = TestClient(application(FixedFollower(), lake=lake)).get("/transactions")
    assert answer.status_code == 503
    assert "restart the stream, which repairs it" in answer.json()["detail"]


def test_a_compacted_table_is_walked_on(lake: str) -> None:
    lists = Lists(lake)
    listed = lists.walk("/transactions", {}, 17, lists.compact)
    assert hashes(listed) == newest_first(lists.rows)
