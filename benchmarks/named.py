"""Labelled transactions of the main chain: how many are named right, and how many are flagged.

`python -m benchmarks.named [FOLDER]`: `coinjoins.jsonl.gz` of the sample data has a label for each
transaction, which others gave by other rules; the mempool and the blocks beside it are ordinary.
Flags are those of the detector that is trained on all of the recorded mempool, at one in a
thousand, each file beside its own median fee rate. Shares have their 95 % interval (Wilson).
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks.detection import forest_and_threshold
from benchmarks.samples import BLOCKS, FOLDER, MEMPOOL, labelled, numbers
from scipy.stats import binomtest

from core.transaction import ObservedTransaction

COINJOINS = "coinjoins.jsonl.gz"
NAMES = {
    "whirlpool": "whirlpool",
    "wasabi1": "wasabi_1",
    "wasabi2": "wasabi_2",
    "joinmarket_like": "joinmarket",
}
"""The right name for a label; the others are no coinjoins."""

TOKENS = ("token_transfer", "token_sale")

Labelled = dict[str, list[ObservedTransaction]]


def by_label(folder: Path) -> Labelled:
    """The transactions of the three files by label; those of mempool and blocks by their file."""
    found: Labelled = defaultdict(list)
    for file in (COINJOINS, MEMPOOL, BLOCKS):
        for transaction, label in labelled(folder / file):
            found[label].append(transaction)
    return found


def interval(part: int, whole: int) -> str:
    """A share with its 95 % interval.

    >>> interval(17, 17)
    '1.00 (0.82 to 1.00)'
    """
    low, high = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    return f"{part / whole:.2f} ({low:.2f} to {high:.2f})"


def print_names(found: Labelled) -> None:
    """Print how many of each label are named, and the other names of coinjoins and tokens."""
    print("\n| label | transactions | named right | named otherwise |\n|---|---|---|---|")
    for label, transactions in found.items():
        named: Counter[str | None] = Counter(t.coinjoin for t in transactions)
        named.update({name: sum(bool(getattr(t, name)) for t in transactions) for name in TOKENS})
        right = NAMES.get(label)
        others = ", ".join(
            f"{name} {n:,}"
            for name, n in sorted(named.items(), key=str)
            if n and name not in (right, None)
        )
        share = interval(named[right], len(transactions)) if right else "–"
        print(f"| {label} | {len(transactions):,} | {share} | {others} |")


def print_flags(found: Labelled) -> None:
    """Print how many of each label the detector of the recorded mempool flags."""
    rows = numbers(found["mempool_2024"])
    score, threshold = forest_and_threshold(rows, rows)
    print(f"\n| label | flagged | mean score, of a threshold of {threshold:.3f} |\n|---|---|---|")
    for label, transactions in found.items():
        scores = score(numbers(transactions))
        flagged = interval(int((scores >= threshold).sum()), len(scores))
        print(f"| {label} | {flagged} | {scores.mean():.3f} |", flush=True)


def main() -> None:
    """Print the tables."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if not (folder / COINJOINS).exists():
        print(f"\n{folder / COINJOINS} does not exist: there are no labelled transactions.")
        return
    found = by_label(folder)
    print_names(found)
    print_flags(found)


if __name__ == "__main__":
    main()
