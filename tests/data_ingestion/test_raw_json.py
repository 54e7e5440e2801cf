"""Decoding pages and blocks without unfolding their items."""

import json

import msgspec
import pytest
from tests.data_ingestion.samples import block_hash, item, name, payment

from data_ingestion.raw_json import (
    decode_block,
    decode_page,
    decode_tip,
    hash_of,
)


def test_a_page_keeps_each_item_as_the_bytes_it_was() -> None:
    malformed = b'{"hash": 5}'
    assert decode_page(b'{"txs":[' + item() + b"," + malformed + b"]}") == [item(), malformed]


def test_a_block_names_its_parent() -> None:
    body = {"hash": block_hash(9), "height": 9, "prev_block": block_hash(8), "time": 1}
    found = decode_block(json.dumps(body | {"tx": [payment()], "mrkl_root": "x"}).encode())
    assert (found.height, found.prev_block) == (9, block_hash(8))
    assert bytes(found.tx[0]) == item()


@pytest.mark.parametrize("index", [{"block_index": 0, "txIndexes": []}, {"txIndexes": [5]}, {}])
def test_a_tip_of_any_year_is_its_hash_and_height(index: dict[str, object]) -> None:
    found = decode_tip(json.dumps({"hash": name(1), "height": 7, "time": 1} | index).encode())
    assert (found.hash, found.height) == (name(1), 7)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"txs":{}}', b'{"txs":[1'])
def test_what_is_no_page_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_page(body)


@pytest.mark.parametrize(
    ("body", "found"), [(b'{"hash":"a"}', "a"), (b'{"hash":1}', None), (b'{"hash":"\xff"}', None)]
)
def test_an_item_may_still_name_itself(body: bytes, found: str | None) -> None:
    assert hash_of(body) == found
