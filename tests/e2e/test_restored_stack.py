"""A backup of the running stack, restored elsewhere: all is there once, and the model answers."""

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from local.ports import free_port
from tests.support.demo_stack import READY_SECONDS, SCORED_SECONDS, Demo, ask
from tests.support.kept_data import data_in, rows
from tests.support.peoples_work import inject, work
from tests.support.processes import answers, process, wait_until

from core.casework import CASEWORK_TABLES
from core.detector.rules import RULES_VERSION
from core.lake import open_table, query
from core.registry.follower import champion_version, load_champion
from core.settings import ROOT
from core.transaction import DETECTOR_FIELDS
from maintenance.data_folder import JOURNAL, DataFolder
from model.tracking_server import ENVIRONMENT, Tracking

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

WRITTEN = ("marks", "mutes", "watch_list", "case_members")


def upkeep(data: Path, kafka_port: int, *arguments: str) -> None:
    environment = os.environ | {"DATA_DIR": str(data), "KAFKA_PORT": str(kafka_port)}
    done = subprocess.run(
        [sys.executable, "-m", "local.upkeep", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "is not in the backup" not in done.stderr


def hashes(folder: DataFolder, table: str) -> Counter[str]:
    opened = open_table(str(folder.parts["lake"]), table, folder.origin)
    assert opened is not None
    return Counter(query("SELECT hash FROM t", t=opened)["hash"].to_pylist())


def memory(folder: DataFolder) -> int:
    """The number of records that the producer knows as published."""
    with closing(sqlite3.connect(folder.place(JOURNAL))) as journal:
        names = journal.execute("select name from sqlite_schema where name glob 'marks_*'")
        marks = [f'select count(*) from "{name}"' for (name,) in names.fetchall()]
        return sum(journal.execute(count).fetchone()[0] for count in marks)


def test_a_backup_of_the_running_stack_has_all_of_it(demo: Demo, tmp_path: Path) -> None:
    demo.wait_for("table of URLs", demo.urls, READY_SECONDS)
    demo.wait_for("scored row", lambda: demo.rows("scored_transactions", "hash"), SCORED_SECONDS)
    demo.wait_for_champion()
    inject(demo, "fat_finger_fee", "a payer before the backup")
    demo.wait_for(
        "case", lambda: (ask(f"{demo.url('API_PORT')}/cases") or {}).get("cases") or None, 120
    )
    work(demo)
    running = data_in(demo.data / "demo")
    before = {name: rows(running, "casework", name) for name in CASEWORK_TABLES}
    raw_before, marks_before = hashes(running, "raw_transactions"), memory(running)

    file = str(tmp_path / "backup.tar")
    upkeep(demo.data, demo.ports["KAFKA_PORT"], "backup", "demo", file)
    upkeep(tmp_path, free_port(), "restore", "", file)

    restored = data_in(tmp_path / "demo")
    raw, scored = (hashes(restored, n) for n in ("raw_transactions", "scored_transactions"))
    assert max(raw.values()) == max(scored.values()) == 1
    assert set(raw_before) <= set(raw) and set(scored) <= set(raw)
    for name, there in before.items():
        assert set(there) <= set(rows(restored, "casework", name)), name
        assert there or name not in WRITTEN
    assert memory(restored) >= marks_before, "what was published is not published again"
    the_model_answers_as_before(restored, tmp_path)


def the_model_answers_as_before(folder: DataFolder, logs: Path) -> None:
    """The newest version that has scored; the champion may be one that has not yet."""
    opened = open_table(str(folder.parts["lake"]), "scored_transactions", folder.origin)
    assert opened is not None
    versions = f"SELECT DISTINCT model_version AS v FROM t WHERE model_version <> '{RULES_VERSION}'"
    version = max(query(versions, t=opened)["v"].to_pylist(), key=int)
    columns = ", ".join([*DETECTOR_FIELDS, "anomaly_score"])
    by_it = f"model_version = '{version}' AND package_fee_rate IS NULL"
    table = query(f"SELECT {columns} FROM t WHERE {by_it}", t=opened)
    server = Tracking(folder.parts["mlflow"], free_port())
    uri, log = f"http://localhost:{server.port}", logs / "mlflow.log"
    with process(server.command(), log, ENVIRONMENT) as running:
        wait_until(lambda: answers(f"{uri}/health"), running, log)
        champion = champion_version(uri, folder.origin)
        assert champion is not None and int(champion) >= int(version)
        model = load_champion(uri, version)
    numbers = np.column_stack([table[name].to_numpy() for name in DETECTOR_FIELDS])
    assert len(numbers) and (model.scores(numbers) == table["anomaly_score"].to_numpy()).all()
