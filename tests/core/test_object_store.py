from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from tests.support.store_server import BUCKET, StoreServer

from core import casework
from core.casework import CaseworkStore
from core.delta_log import inspect, repair
from core.lake import OriginMismatchError
from core.object_store import CredentialsError, credentials, storage_options
from core.settings import StoreSettings

NOTES = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("note", pa.string())])


@pytest.fixture(autouse=True)
def notes_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more casework table."""
    monkeypatch.setitem(casework.CASEWORK_TABLES, "notes", NOTES)


def note(number: int) -> pa.Table:
    return pa.table({"id": [number], "note": [f"note {number}"]})


def numbers(notes: CaseworkStore) -> list[int]:
    rows = notes.query("SELECT id FROM notes ORDER BY id", "notes")
    return [] if rows is None else list(rows["id"].to_pylist())


@pytest.mark.slow
def test_several_writers_append_to_one_table_of_a_store_and_no_row_is_lost(
    store: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(casework, "_SMALL_COMMITS", 10)  # files are merged meanwhile
    writers = [CaseworkStore(store.uri("shared"), "simulated") for _ in range(4)]  # as 4 processes
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda n: writers[n % 4].append("notes", note(n)), range(24)):
            pass
    assert numbers(writers[0]) == list(range(24))
    with pytest.raises(OriginMismatchError):
        CaseworkStore(store.uri("shared"), "live").append("notes", note(24))


@pytest.mark.slow
def test_a_version_of_a_table_is_written_once(store: StoreServer) -> None:
    notes = CaseworkStore(store.uri("once"), "simulated")
    notes.append("notes", note(1))
    one, other = (notes.table("notes") for _ in range(2))
    assert one is not None and other is not None
    assert one.version() == other.version()
    one.delete("id = 1")
    with pytest.raises(Exception, match="(?i)conflict|concurrent"):
        other.delete("id = 1")


@pytest.mark.slow
def test_a_log_on_a_store_is_repaired(store: StoreServer) -> None:
    notes = CaseworkStore(store.uri("damaged"), "simulated")
    for number in range(3):
        notes.append("notes", note(number))
    table = notes.table("notes")
    assert table is not None
    newest = f"damaged/notes/_delta_log/{table.version():020}.json"
    store.client.put_object(Bucket=BUCKET, Key=newest, Body=b"{")
    repair(inspect(store.uri("damaged/notes")))
    assert numbers(notes) == [0, 1]
    notes.append("notes", note(3))
    assert numbers(notes) == [0, 1, 3]


def test_a_disk_needs_no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://localhost:9")
    assert storage_options("/data/lake/raw_transactions") is None


def test_a_store_is_asked_by_https_unless_its_address_is_http(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for endpoint, plain in (("http://store:7070", "true"), ("https://store", "false")):
        monkeypatch.setenv("S3_ENDPOINT_URL", endpoint)
        options = storage_options("s3://bucket/lake") or {}
        assert options["aws_endpoint_url"] == endpoint
        assert options["aws_allow_http"] == plain
        assert options["aws_conditional_put"] == "etag"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[other]\n", "default"),
        ("[default]\naws_access_key_id = only\n", "aws_secret_access_key"),
        ("a-secret without a section", "no file of sections"),
    ],
)
def test_credentials_that_cannot_be_used_are_named_and_not_shown(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "credentials"
    path.write_text(text)
    settings = StoreSettings(_env_file=None, s3_credentials_file=path)
    with pytest.raises(CredentialsError, match=message) as refused:
        credentials(settings)
    assert "a-secret" not in str(refused.value)


def test_without_a_file_or_with_an_empty_one_the_role_of_the_machine_counts(
    tmp_path: Path,
) -> None:
    assert credentials(StoreSettings(_env_file=None)) is None
    assert credentials(StoreSettings(_env_file=None, s3_credentials_file="/dev/null")) is None


def test_a_secret_is_in_no_representation(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text("[default]\naws_access_key_id = key\naws_secret_access_key = a%secret\n")
    found = credentials(StoreSettings(_env_file=None, s3_credentials_file=path))
    assert found is not None and found.secret == "a%secret"
    assert "a%secret" not in repr(found)
