"""The benchmarks run, and what they write can be read by what they measure."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.__main__ import names
from benchmarks.training import write_table
from deltalake import DeltaTable
from tests.support.containers import unable

from core.settings import ROOT, TrainerSettings
from core.transaction import DETECTOR_FIELDS
from model.challenger import Recipe
from model.sampling import SamplingPlan, draw_sample

SMALL = {
    "addresses": ["2", "60000"],
    "alerts": ["5"],
    "api": ["1"],
    "api_lists": ["0.3"],
    "backup": ["20000"],
    "cases": ["500"],
    "dashboard": ["0.1"],
    "docker": ["0"],
    "door": ["1"],
    "driver": ["1"],
    "scoring": ["5000"],
    "stream": ["60000"],
    "stream_store": ["60000"],
    "training": ["20000"],
    "watched_stream": ["60000"],
}
"""Arguments with which a benchmark takes minutes; the others have none."""


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", names())
def test_a_benchmark_runs_to_its_end(name: str) -> None:
    if name == "docker" and (reason := unable()):
        pytest.skip(reason)
    command = [sys.executable, "-m", f"benchmarks.{name}", *SMALL.get(name, [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout


def test_a_training_reads_the_table_of_its_benchmark(tmp_path: Path) -> None:
    write_table(tmp_path, 5_000)
    settings = TrainerSettings(_env_file=None)
    plan = SamplingPlan.from_settings(settings, Recipe.from_settings(settings, "simulated").rows)
    sample = draw_sample(DeltaTable(tmp_path), plan, 7)
    assert sample.drawn.shape[1] == len(DETECTOR_FIELDS)
