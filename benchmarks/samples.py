"""Recorded transactions for the benchmarks, as rows of the seven numbers.

`mempool_2024.jsonl.gz` has 8,131 unconfirmed transactions of mid-March 2024, one a line, in the
schema of the Blockchain.com API. They are public facts, collected from open repositories. Without
the file, the benchmarks that need it print that it is missing and continue.
"""

import gzip
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.features import coinbase_rows
from core.settings import ROOT
from core.transaction import NUMERIC_FIELDS, ObservedTransaction, TransactionSource
from data_ingestion.publishing import observe

Floats = NDArray[np.float64]

FOLDER = ROOT.parent / "shared" / "data"
MEMPOOL, BLOCKS = "mempool_2024.jsonl.gz", "blocks.jsonl.gz"


def sample_path() -> Path:
    """The path of the sample: the first argument, the variable SAMPLE, or the default."""
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SAMPLE")
    return Path(named) if named else FOLDER / MEMPOOL


def transactions(path: Path) -> Iterator[ObservedTransaction]:
    """Read every transaction of a file, coinbase transactions included."""
    return (transaction for transaction, _ in labelled(path))


def labelled(path: Path) -> Iterator[tuple[ObservedTransaction, str]]:
    """The same with the label of each; where there is none, the name of the file."""
    origin: TransactionSource = "block" if path.name == BLOCKS else "mempool"
    with gzip.open(path) as lines:
        for line in lines:
            label = json.loads(line).get("label", path.name.partition(".")[0])
            yield observe(line, 0, origin), label


def numbers(observed: list[ObservedTransaction]) -> Floats:
    """The seven numbers of each, beside the median fee rate of all: (n, 8), without coinbases."""
    rows = np.array([[getattr(t, name) for name in NUMERIC_FIELDS] for t in observed], np.float64)
    kept = rows[~coinbase_rows(rows)]
    market = np.median(kept[:, 2] * 4 / kept[:, 1])
    return np.column_stack([kept, np.full(len(kept), market)])
