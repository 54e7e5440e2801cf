"""What the benchmarks write can be read by what they measure."""

from pathlib import Path

from benchmarks.training import write_table
from deltalake import DeltaTable

from core.settings import TrainerSettings
from core.transaction import DETECTOR_FIELDS
from model.challenger import Recipe
from model.sampling import SamplingPlan, draw_sample


def test_a_training_reads_the_table_of_its_benchmark(tmp_path: Path) -> None:
    write_table(tmp_path, 5_000)
    settings = TrainerSettings(_env_file=None)
    plan = SamplingPlan.from_settings(settings, Recipe.from_settings(settings, "simulated").rows)
    sample = draw_sample(DeltaTable(tmp_path), plan, 7)
    assert sample.drawn.shape[1] == len(DETECTOR_FIELDS)
