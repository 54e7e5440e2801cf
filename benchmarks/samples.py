"""Recorded transactions for the benchmarks, as rows of the seven numbers.

`mempool_2024.jsonl.gz` has 8,131 unconfirmed transactions of mid-March 2024, one a line, in the
schema of the Blockchain.com API. They are public facts, collected from open repositories. Without
the file, the benchmarks that need it print that it is missing and continue.
"""

import gzip
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.features import coinbase_rows
from core.settings import ROOT
from core.transaction import NUMERIC_FIELDS, ObservedTransaction
from data_ingestion.publishing import observe

Integers = NDArray[np.int64]

FOLDER = ROOT.parent / "shared" / "data"
MEMPOOL, BLOCKS = "mempool_2024.jsonl.gz", "blocks.jsonl.gz"


def sample_path() -> Path:
    """The path of the sample: the first argument, the variable SAMPLE, or the default."""
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SAMPLE")
    return Path(named) if named else FOLDER / MEMPOOL


def transactions(path: Path) -> Iterator[ObservedTransaction]:
    """Read every transaction of a file, coinbase transactions included."""
    with gzip.open(path) as lines:
        for line in lines:
            yield observe(line, 0, "mempool")


def numbers(observed: list[ObservedTransaction]) -> Integers:
    """The seven numbers of each, shape (n, 7), without coinbase transactions."""
    rows = np.array([[getattr(t, name) for name in NUMERIC_FIELDS] for t in observed], np.int64)
    kept: Integers = rows[~coinbase_rows(rows)]
    return kept
