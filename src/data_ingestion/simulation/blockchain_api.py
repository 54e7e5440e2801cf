"""The endpoints of Blockchain.com that the producer uses, answered from the simulated network.

Reference: https://www.blockchain.com/explorer/api/blockchain_api; shapes and key order follow
responses captured from the real API. Left out: `limit` and `offset`; a page is 100 transactions.
"""

from dataclasses import replace

from core.transaction import tx_index
from data_ingestion.simulation.faults import CANNED, Fault
from data_ingestion.simulation.http_server import Answer, Delivery, json_answer
from data_ingestion.simulation.network import Network

PAGE_LENGTH = 100
"""Transactions in an answer to /unconfirmed-transactions."""

NOT_FOUND = json_answer(
    {"error": "not-found-or-invalid-arg", "message": "Item not found or argument invalid"}, 404
)
"""The API's answer for a transaction or block that does not exist."""

_RENAMED_LISTS = ((b'"txs":', b'"transactions":'), (b'"tx":[', b'"transactions":['))
_EMPTY_PAGE = Answer(200, b'{"txs":[]}')
_DELIVERIES = {delivery.value for delivery in Delivery}


class BlockchainApi:
    """Answers GET requests from the network, rightly or with a fault."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._last_page = _EMPTY_PAGE

    def answer(self, path: str, fault: Fault | None, now: float) -> Answer:
        """The answer at Unix time `now` for a path without its query, with this fault."""
        if fault is None:
            return self._right_answer(path)
        if fault.name in CANNED:
            return replace(CANNED[fault.name], retry_after=fault.retry_after)
        match fault.name:
            case "empty-page":
                return _EMPTY_PAGE
            case "repeated-page":
                return self._last_page
            case "burst":
                self._network.burst(fault.size or 400, now)
            case "reorganisation":
                self._network.reorganise(fault.size or 2, now)
        return _distort(self._right_answer(path), fault)

    def _right_answer(self, path: str) -> Answer:
        match path.removeprefix("/").split("/", 1):
            case ["unconfirmed-transactions"]:
                return self._page()
            case ["latestblock"]:
                return self._latest()
            case ["rawblock", hash_or_height]:
                return self._block(hash_or_height)
            case ["rawtx", name]:
                return self._transaction(name)
        return NOT_FOUND

    def _page(self) -> Answer:
        newest = self._network.newest(PAGE_LENGTH)
        body = b",".join([transaction.json() for transaction in newest])
        self._last_page = Answer(200, b'{"txs":[' + body + b"]}")
        return self._last_page

    def _latest(self) -> Answer:
        block = self._network.chain.main[-1]
        return json_answer(
            {
                "hash": block.hash,
                "time": block.time,
                "block_index": block.height,
                "height": block.height,
                "txIndexes": [tx_index(t.hash) for t in block.transactions],
            }
        )

    def _block(self, hash_or_height: str) -> Answer:
        chain = self._network.chain
        block = chain.find(hash_or_height)
        if block is None:
            return NOT_FOUND
        return Answer(200, b"".join(block.json(chain.next_hash(block), chain.is_main(block))))

    def _transaction(self, name: str) -> Answer:
        located = self._network.find(name)
        if located is None:
            return NOT_FOUND
        transaction, block = located
        return Answer(200, transaction.json((block.height, block.time) if block else None))


def _distort(right: Answer, fault: Fault) -> Answer:
    """The right answer as this fault delivers or changes it; other faults leave it as it is."""
    if fault.name in _DELIVERIES:
        return replace(right, delivery=Delivery(fault.name), seconds=fault.seconds)
    body = right.body
    if fault.name == "changed-schema":
        for old, new in _RENAMED_LISTS:
            body = body.replace(old, new, 1)
        if b'"tx' not in right.body[:9]:
            body = body.replace(b'{"hash":', b'{"id":', 1)
    elif fault.name == "changed-items":
        body = body.replace(b'"hash":', b'"txid":').replace(b'"size":', b'"bytes":')
    return replace(right, body=body)
