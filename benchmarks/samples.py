"""The recorded transactions that benchmarks are given, as rows of the seven numbers.

`mempool_2024.jsonl.gz`: 8,131 unconfirmed transactions of mid-March 2024, public facts collected
from open repositories, in the schema of the Blockchain.com API, one a line. Where it is not there
the benchmarks that need it say so and go on.
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
from data_ingestion.observation import observe

Integers = NDArray[np.int64]

FOLDER = ROOT.parent / "shared" / "data"
MEMPOOL, BLOCKS = "mempool_2024.jsonl.gz", "blocks.jsonl.gz"


def given() -> Path:
    """The sample: the first argument, or the variable SAMPLE, or the default place."""
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SAMPLE")
    return Path(named) if named else FOLDER / MEMPOOL


def transactions(path: Path) -> Iterator[ObservedTransaction]:
    """Every transaction of a file, coinbase included."""
    with gzip.open(path) as lines:
        for line in lines:
            yield observe(line, 0, "mempool")


def numbers(found: list[ObservedTransaction]) -> Integers:
    """Their seven numbers, shape (n, 7), coinbase left out."""
    rows = np.array([[getattr(t, name) for name in NUMERIC_FIELDS] for t in found], np.int64)
    kept: Integers = rows[~coinbase_rows(rows)]
    return kept
