"""The surface of Blockchain.com that the producer uses, on the simulated network.

Reference: https://www.blockchain.com/explorer/api/blockchain_api; shapes and key order follow
responses captured from the real one. But: no `limit`, no `offset`, a page is 100 transactions.
"""

from collections.abc import Callable
from dataclasses import replace

from data_ingestion.simulation.answers import NOT_FOUND, Answer, Manner, json_answer
from data_ingestion.simulation.emitted import tx_index
from data_ingestion.simulation.faults import CANNED, PAGE, Fault
from data_ingestion.simulation.network import Network

PAGE_LENGTH = 100
"""Transactions in an answer to /unconfirmed-transactions."""

_RENAMED = ((b'"txs":', b'"transactions":'), (b'"tx":[', b'"transactions":['))
_EMPTY = Answer(200, b'{"txs":[]}')


class BlockchainApi:
    """Answers GET requests from the network, well or with a fault."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._last_page = _EMPTY

    def answer(self, path: str, fault: Fault | None, now: float) -> Answer:
        """The answer for a path without its query, struck by this fault."""
        if fault is None:
            return self._right(path)
        if fault.name in CANNED:
            canned = CANNED[fault.name]
            return Answer(
                canned.status, canned.body, canned.content_type, retry_after=fault.retry_after
            )
        if fault.name == "burst":
            self._network.burst(fault.size or 400, now)
        elif fault.name == "reorganisation":
            self._network.reorganise(fault.size or 2, now)
        elif fault.name == "empty-page":
            return _EMPTY
        elif fault.name == "repeated-page":
            return self._last_page
        return _spoilt(self._right(path), fault)

    def _right(self, path: str) -> Answer:
        routes: dict[str, Callable[[str], Answer]] = {
            "rawblock": self._block,
            "rawtx": self._transaction,
        }
        if path == PAGE:
            return self._page()
        if path == "/latestblock":
            return self._latest()
        name, _, argument = path.lstrip("/").partition("/")
        return routes[name](argument) if name in routes else NOT_FOUND

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
        found = self._network.find(name)
        if found is None:
            return NOT_FOUND
        transaction, block = found
        return Answer(200, transaction.json((block.height, block.time) if block else None))


def _spoilt(right: Answer, fault: Fault) -> Answer:
    """The right answer as this fault delivers or distorts it."""
    manner = {m.value: m for m in Manner}.get(fault.name)
    if manner is not None:
        return replace(right, manner=manner, seconds=fault.seconds)
    body = right.body
    if fault.name == "changed-schema":
        for old, new in (
            (*_RENAMED, (b'{"hash":', b'{"id":')) if b'"tx' not in body[:9] else _RENAMED
        ):
            body = body.replace(old, new, 1)
    elif fault.name == "changed-items":
        body = body.replace(b'"hash":', b'"txid":').replace(b'"size":', b'"bytes":')
    return replace(right, body=body)
