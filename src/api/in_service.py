"""The model in service, as the routes see it: there or not, and which."""

from typing import Protocol

from api.problems import LastingError
from core.detector.champion import Champion


class Follower(Protocol):
    """Keeps the champion at hand and follows its alias, as `ChampionFollower` does."""

    current: Champion | None
    problem: str | None

    def start(self) -> None:
        """Begin to follow; returns at once."""

    def stop(self) -> None:
        """End it."""


def champion_of(follower: Follower) -> Champion:
    """The champion; without one an error 503 that says what is missing."""
    champion = follower.current
    if champion is None:
        raise LastingError(503, f"There is no model to score with: {follower.problem}.")
    return champion
