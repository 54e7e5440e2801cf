"""Java starts from archives of its classes, which are made again when they do not fit."""

from functools import partial
from pathlib import Path

import pytest
from local import class_archives, jars
from local.class_archives import ArchiveError, main, make
from tests.support.stream_processes import KafkaProcess


@pytest.fixture
def folder(tmp_path: Path, java: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of jars; `make` runs nothing there, and writes what it was asked for."""
    for name in ("kafka", "spark"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.jar").write_text(name)

    def run_both(work: Path) -> None:
        for name in ("kafka", "spark"):
            (work / f"{name}.jsa").write_text(f"classes of {name}")

    monkeypatch.setattr(class_archives, "_run_both", run_both)
    return tmp_path


def test_they_are_made_once_and_again_when_a_jar_is_another_one(folder: Path) -> None:
    assert make(folder)
    assert jars.class_archive("spark", folder).read_text() == "classes of spark"
    assert not make(folder), "they fit"
    (folder / "kafka" / "kafka.jar").write_text("another")
    assert make(folder)
    assert not make(folder)


def test_where_one_cannot_be_made_none_is_left_and_it_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(folder)
    (folder / "spark" / "spark.jar").write_text("another")

    def fail(_: Path) -> None:
        raise ArchiveError("Spark has no memory")

    monkeypatch.setattr(class_archives, "_run_both", fail)
    monkeypatch.setattr(class_archives, "make", partial(make, folder))
    main()
    assert "start slower: Spark has no memory" in capsys.readouterr().err
    assert not list(folder.glob("*.jsa"))


@pytest.mark.stack
def test_kafka_starts_from_its_archive(java: None, tmp_path: Path) -> None:
    make()
    kafka = KafkaProcess(tmp_path / "kafka")
    kafka.start()
    try:
        assert kafka.running is not None
        assert "kafka.jsa" in Path(f"/proc/{kafka.running.pid}/maps").read_text()
    finally:
        kafka.kill()
