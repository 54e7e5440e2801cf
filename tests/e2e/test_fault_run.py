"""The long fault run: nothing lost, nothing doubled, and every service works again by itself.

make soak                         60 faults, each kind at least twice; the same on the scale parts
make soak FAULTS=5 SEED=7         five, in the order that this seed gives
FAULTS=disk_full,api_killed pytest -m soak tests/e2e/test_fault_run.py
"""

import logging
import os
import random
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.support.fault_rig import FaultRig
from tests.support.fault_table import FAULTS, SCALE_FAULTS, Fault, draw
from tests.support.processes import missing
from tests.support.scale_parts import scale_parts

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(7_200)]

WANTED = os.environ.get("FAULTS") or "60"
SEED = int(os.environ.get("SEED") or random.SystemRandom().getrandbits(32))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 MB, which `disk_full` fills."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        missing("this machine cannot mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def rig(java: None, tmp_path: Path, disk: Path) -> Iterator[FaultRig]:
    (tmp_path / "services").mkdir()
    rig = FaultRig(tmp_path / "services", disk / "data", random.Random(SEED))
    try:
        rig.start()
        yield rig
    finally:
        rig.close()


@pytest.fixture
def scale_rig(java: None, tmp_path: Path, disk: Path) -> Iterator[FaultRig]:
    """The same with three brokers, two workers, and the lake on an object store."""
    (tmp_path / "services").mkdir()
    with scale_parts(tmp_path) as parts:
        rig = FaultRig(tmp_path / "services", disk / "data", random.Random(SEED), parts)
        try:
            rig.start()
            yield rig
        finally:
            rig.close()


def test_random_faults_lose_nothing_and_double_nothing(rig: FaultRig) -> None:
    run(rig, FAULTS)


def test_each_fault_on_the_scale_parts_loses_nothing_and_doubles_nothing(
    scale_rig: FaultRig,
) -> None:
    run(scale_rig, SCALE_FAULTS)


def run(rig: FaultRig, faults: Mapping[str, Fault]) -> None:
    drawn = draw(WANTED, rig.rng, faults)
    log.info("SEED=%d: %d faults", SEED, len(drawn))
    for number, name in enumerate(drawn, 1):
        begun = time.monotonic()
        time.sleep(rig.rng.uniform(0, 3))  # a random moment of a micro-batch, not a wait
        faults[name](rig)
        rig.recover()
        log.info("%d. %s: all work after %.0f s", number, name, time.monotonic() - begun)
    rig.settle()
    rig.assert_each_once()
    log.info("%d transactions, each once", len(rig.owed))
