"""The follower, whatever MLflow answers: a loaded model stays until another has loaded."""

from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest
from tests.support.fake_mlflow import Registry, serving

from core.detector.champion import Champion
from core.registry.follower import (
    REFUSED_SECONDS,
    ChampionFollower,
    champion_version,
    champions_calibration,
    identity,
    promote,
)
from core.registry.rest import RegistryUnavailableError
from core.registry.version_files import (
    CALIBRATION_FILE,
    EXTRA_FOLDER,
    MODEL_FILE,
    ModelRefusedError,
    read_model,
)


@pytest.fixture
def registry(version_files: Path) -> Registry:
    return Registry(champion="1", folder=version_files)


@pytest.fixture
def uri(registry: Registry) -> Iterator[str]:
    with serving(registry) as served:
        yield served


def follower(uri: str) -> ChampionFollower:
    return ChampionFollower(uri, "simulated", 60, read_model)


def fetched(registry: Registry) -> int:
    """How many files were downloaded since the last call."""
    count = sum("get-artifact" in path for path in registry.asked)
    registry.asked.clear()
    return count


def test_the_champion_is_loaded_once(registry: Registry, uri: str) -> None:
    following = follower(uri)
    assert following.refresh()
    assert following.current is not None and following.current.version == "1"
    assert fetched(registry) == 3
    assert not following.refresh()
    assert fetched(registry) == 0 and following.problem is None


def test_the_champions_calibration_comes_without_its_trees(
    registry: Registry, uri: str, version_files: Path
) -> None:
    read = champions_calibration(uri, "simulated")
    assert read is not None
    assert read == ("1", read_model(version_files, "1").calibration)
    assert fetched(registry) == 1
    registry.champion = None
    assert champions_calibration(uri, "simulated") is None


def test_a_calibration_that_cannot_be_read_is_refused(
    registry: Registry, uri: str, folder: Path
) -> None:
    (folder / EXTRA_FOLDER / CALIBRATION_FILE).write_text("{}")
    registry.folder = folder
    with pytest.raises(ModelRefusedError, match="version 1 cannot be read"):
        champions_calibration(uri, "simulated")


def test_another_version_of_the_same_number_is_another_champion(
    registry: Registry, uri: str
) -> None:
    following = follower(uri)
    following.refresh()
    first = following.current
    registry.created += 1  # a new registry counts from 1 again
    assert following.refresh()
    assert following.current is not first
    assert following.current is not None and following.current.version == "1"


def test_a_refused_version_is_read_again_only_after_a_while(
    registry: Registry, uri: str, folder: Path
) -> None:
    now = 0.0
    following = ChampionFollower(uri, "simulated", 60, read_model, lambda: now)
    whole, registry.folder = registry.folder, folder
    (folder / MODEL_FILE).write_bytes(b"cut")
    assert not following.refresh()
    problem = following.problem
    assert problem is not None and "model.skops cannot be loaded safely" in problem
    registry.folder, _ = whole, fetched(registry)
    assert not following.refresh()
    assert fetched(registry) == 0 and following.problem == problem
    now = REFUSED_SECONDS
    assert following.refresh()
    assert following.problem is None


def test_a_refused_version_keeps_no_other_from_being_loaded(
    registry: Registry, uri: str, folder: Path
) -> None:
    following = follower(uri)
    whole, registry.folder = registry.folder, folder
    (folder / MODEL_FILE).unlink()
    assert not following.refresh()
    registry.folder = whole
    promote(uri, "2")
    assert following.refresh()
    assert following.current is not None and following.current.version == "2"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((500, b"out of order"), "fails: 500 out of order"),
        ((403, b"Invalid Host header"), "fails: 403 Invalid Host header"),
        ((404, b"<html>nothing here</html>"), "fails: 404 <html>nothing here"),
        ((200, b"<html>another service</html>"), "fails: "),
        ((200, b"{}"), "answers otherwise than MLflow does"),
        ((200, b"[]"), "answers otherwise than MLflow does"),
    ],
)
def test_any_other_answer_is_a_problem_and_changes_nothing(
    registry: Registry, uri: str, answer: tuple[int, bytes], sentence: str
) -> None:
    registry.answer = answer
    following = follower(uri)
    assert not following.refresh()
    assert following.problem is not None
    assert following.problem.startswith(f"MLflow at {uri} ") and sentence in following.problem


def test_a_file_that_breaks_off_on_its_way_is_not_read(registry: Registry, uri: str) -> None:
    following = follower(uri)
    registry.cut_short = True
    assert not following.refresh()
    assert following.current is None
    assert following.problem is not None and "MLflow at" in following.problem


def test_without_a_champion_or_a_model_there_is_nothing_to_load(
    registry: Registry, uri: str
) -> None:
    registry.champion = None
    following = follower(uri)
    assert not following.refresh()
    assert following.problem == "no model is in service yet: the trainer has promoted none"
    registry.answer = (404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}')
    assert champion_version(uri) is None
    with pytest.raises(RegistryUnavailableError, match="has no version 3"):
        identity(uri, "3")


def test_models_of_another_origin_are_refused(registry: Registry, uri: str) -> None:
    registry.origin = "live"
    following = follower(uri)
    assert not following.refresh()
    assert following.problem is not None and "set DATA_ORIGIN=live" in following.problem


def test_a_server_that_does_not_answer_is_named() -> None:
    with pytest.raises(RegistryUnavailableError, match="http://localhost:9 does not answer"):
        champion_version("http://localhost:9")


def test_a_follower_never_raises_and_says_what_is_missing() -> None:
    following = follower("http://localhost:9")
    following.start()
    following.stop()
    assert not following.refresh()
    assert following.current is None
    assert following.problem == "MLflow at http://localhost:9 does not answer"


def test_a_full_disk_is_a_problem_and_the_follower_goes_on(
    registry: Registry, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    failing = [OSError(28, "No space left on device")]

    def read(folder: Path, version: str) -> Champion:
        if failing:
            raise failing.pop()
        return read_model(folder, version)

    following = ChampionFollower(uri, "simulated", 0.01, read)
    turns: Queue[bool] = Queue()
    following.loop.on_turn = turns.put
    following.start()
    assert [turns.get(timeout=30) for _ in range(2)] == [False, True]
    following.stop()
    assert following.current is not None and following.problem is None
    assert following.loop.failures == 1
    assert "No space left on device" in caplog.text
