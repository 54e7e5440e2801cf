"""The OpenAPI document against the service: every kind of request that schemathesis generates."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.types import ASGIApp
from tests.support.api_application import FixedFollower, application
from tests.support.api_process import served
from tests.support.case_samples import a_flag, build
from tests.support.inside_lake import FAMILY, write_insides
from tests.support.scored_lake import ROWS, append_scored

from core.detector.champion import Champion
from core.settings import ApiSettings


def generated(app: ASGIApp, folder: Path, examples: int) -> tuple[int, str]:
    """Run schemathesis; returns the number of cases, and its output when an answer was wrong."""
    with served(app, folder / "log") as url:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--checks", "all", "--max-examples", str(examples), "--seed", "1", "--no-color"),
            *(
                "--exclude-checks",
                "positive_data_acceptance",
            ),  # no schema says what balances
            *("--suppress-health-check", "all", "--generation-database", ":memory:"),
        ]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3_000)
    summary = re.search(r"([\d,]+) generated", run.stdout)
    cases = int(summary[1].replace(",", "")) if summary else 0
    return cases, run.stdout[-6_000:] if run.returncode else ""


@pytest.fixture
def app(champion: Champion, lake: str, tmp_path: Path) -> ASGIApp:
    append_scored(lake, [row | {"hash": f"{n:064x}"} for n, row in enumerate(ROWS)])
    write_insides(lake, *FAMILY)
    settings = ApiSettings(_env_file=None, api_stream_seconds=0.1)  # else a stream has no end
    casework = str(tmp_path / "casework")
    build(casework, *(a_flag(100 * number, flagged_by="both") for number in range(1, 4)))
    return application(FixedFollower(champion), settings, lake, casework=casework)


@pytest.mark.slow
def test_every_answer_to_generated_requests_conforms(app: ASGIApp, tmp_path: Path) -> None:
    cases, complaint = generated(app, tmp_path, examples=15)
    assert not complaint, complaint
    assert cases > 300


@pytest.mark.soak
def test_thousands_of_generated_requests_conform(app: ASGIApp, tmp_path: Path) -> None:
    cases, complaint = generated(app, tmp_path, examples=1_500)
    assert not complaint, complaint
    assert cases > 5_000
