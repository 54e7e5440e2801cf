"""What the stream shows of itself at every scrape: its model, its memory, its disk."""

import shutil
from collections.abc import Callable, Sized
from pathlib import Path

from core.detector.champion import Champion
from monitoring.stream_metrics import StreamMetrics


def show(
    metrics: StreamMetrics,
    champion: Callable[[], Champion | None],
    known: Sized,
    lake: str,
    usage: Callable[[str], tuple[int, int, int]] = shutil.disk_usage,
) -> None:
    """Let the gauges read their values when they are asked; `usage` gives total, used, free bytes.

    A lake that is no local folder has no disk to watch: its gauges stay 0.
    """

    def version() -> float:
        current = champion()
        return float(current.version) if current else 0.0

    metrics.model_version.set_function(version)
    metrics.known_keys.set_function(lambda: float(len(known)))
    if Path(lake).is_dir():
        metrics.disk_bytes.set_function(lambda: float(usage(lake)[0]))
        metrics.disk_free_bytes.set_function(lambda: float(usage(lake)[2]))
